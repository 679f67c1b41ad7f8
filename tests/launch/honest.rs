//! Workers that do what they say.

use super::script::Stage;
use std::fs;
use std::process::Command;
use xrun::launch::Update;
use xrun::terms::Outcome;

const HONEST: &str = "begin; work; finished 0.00002";

#[test]
fn an_honest_worker_completes() {
    let mut updates = Vec::new();
    let stage = Stage::new(HONEST);
    let result = stage
        .run_and_show(&mut |update| updates.push(update))
        .unwrap();
    assert_eq!(
        (result.outcome, result.reason.as_str()),
        (Outcome::Completed, "")
    );
    let measured = result.measured.as_ref().unwrap();
    assert_eq!((measured.steps, measured.examples), (2, 8));
    assert_eq!(measured.throughput_examples_per_second, 8.0 / 0.00002);
    assert!(measured.repeat_seconds == result.seconds && result.seconds > 0.0);
    let samples: Vec<_> = result
        .samples()
        .map(|(rank, window)| (rank, window.first_step))
        .collect();
    assert_eq!(samples, [(0, 0), (0, 1)]);
    assert_eq!(updates.first(), Some(&Update::Ready));
    let steps = &updates[1..];
    assert!(!steps.is_empty() && steps.iter().all(|update| *update == Update::Steps(1)));
    assert_eq!(
        fs::read_dir(stage.folder().join("logs")).unwrap().count(),
        0,
        "an empty log is left"
    );
}

#[test]
fn all_workers_are_ready_before_one_starts() {
    // Each notes that it is ready, and after the start that it sees both notes.
    let life = "job; : > \"$FOLDER/ready$$\"; sleep 0.$(core); ready; start
        [ $(ls \"$FOLDER\" | grep -c ready) = 2 ] || exit 9
        work; finished 0.00002";
    let result = Stage::new(life).workers(2).run();
    assert_eq!(
        (result.outcome, result.reason.as_str()),
        (Outcome::Completed, "")
    );
    assert_eq!(result.measured.as_ref().unwrap().examples, 16);
    assert_eq!(
        result.samples().map(|(rank, _)| rank).collect::<Vec<_>>(),
        [0, 0, 1, 1]
    );
}

#[test]
fn a_worker_sees_its_job_its_threads_and_no_settings_of_the_environment() {
    let life = "begin; work; echo \"$job\" > \"$FOLDER/job\"; env > \"$FOLDER/env\"
        tr '\\0' ' ' < /proc/$$/cmdline > \"$FOLDER/cmdline\"; finished 0.00002";
    let stage = Stage::new(life);
    assert_eq!(stage.run().outcome, Outcome::Completed);
    let read = |name: &str| fs::read_to_string(stage.folder().join(name)).unwrap();
    let job: serde_json::Value = serde_json::from_str(&read("job")).unwrap();
    assert_eq!((&job["rank"], &job["world_size"]), (&0.into(), &1.into()));
    assert_eq!(job["settings"]["measure.steps"], 2);
    let environment = read("env");
    for variable in ["CANDLE", "RAYON", "OMP", "MKL"] {
        assert!(environment.contains(&format!("{variable}_NUM_THREADS=1\n")));
    }
    assert!(!environment.contains("XRUN_"), "{environment}");
    assert!(read("cmdline").trim_end().ends_with("worker"));
}

#[test]
fn a_harness_with_settings_in_its_environment_keeps_them_to_itself() {
    let test =
        "launch::honest::a_worker_sees_its_job_its_threads_and_no_settings_of_the_environment";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("XRUN_MEASURE__STEPS", "7")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
fn what_a_worker_writes_to_stderr_is_kept() {
    let stage = Stage::new("echo a note >&2; begin; work; finished 0.00002");
    for _ in 0..2 {
        assert_eq!(stage.run().outcome, Outcome::Completed);
    }
    let log = fs::read_to_string(stage.folder().join("logs/repeat.worker0.log")).unwrap();
    assert_eq!(log, "a note\na note\n");
}
