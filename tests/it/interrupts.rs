//! Death and interruption of the harness: no process stays, no row is lost or doubled.

use crate::program::{Called, Project, processes_with, rows};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashSet;
use std::process::Child;
use std::time::{Duration, Instant};

/// Cells of about 30 ms, so that a kill meets every stage of a repeat.
const SHORT: &str = r#"
schema = 1
name = "short"
question = "is a row ever lost or doubled?"

[model]
name = "mlp"
layers = [32, 64, 32]
local_batch = 16

[measure]
warmup_steps = 1
steps = 40
repeats = 12

[sweep]
model.local_batch = [8, 16, 24]
"#;

/// One cell that trains for minutes.
const LONG: &str = r#"
schema = 1
name = "long"
question = "does it stop when it is told to?"

[model]
name = "mlp"
layers = [64, 64]
local_batch = 16

[measure]
steps = 1000000000
repeats = 1
"#;

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Waits until `found` says so, for at most ten seconds.
#[track_caller]
fn wait_for(what: &str, mut found: impl FnMut() -> bool) {
    let started = Instant::now();
    while !found() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{what} within 10 s"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Workers that have this harness as their parent.
fn workers_of(harness: &Child) -> Vec<u32> {
    let parent = format!("PPid:\t{}\n", harness.id());
    let child_of = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/status"))
            .is_ok_and(|status| status.contains(&parent))
    };
    processes_with("xrun worker")
        .into_iter()
        .filter(child_of)
        .collect()
}

#[track_caller]
fn gone_within_two_seconds(pids: &[u32]) {
    let started = Instant::now();
    let alive = |pid: &&u32| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
    };
    while let Some(pid) = pids.iter().find(alive) {
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "worker {pid} outlives its harness"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn kill_9_at_any_moment_loses_and_doubles_nothing() {
    let project = Project::new();
    project.file("short.toml", SHORT);
    for round in 0..12u64 {
        let mut harness = project.start(&["short.toml"]);
        std::thread::sleep(Duration::from_millis(60 + 37 * round));
        let workers = workers_of(&harness);
        signal(&harness, Signal::KILL);
        harness.wait().unwrap();
        gone_within_two_seconds(&workers);
    }
    project.run(&["short.toml"]).expect(0);
    let folder = project.results("short");
    let repeats = rows(&folder.join("repeats.csv"));
    let keys: HashSet<_> = repeats
        .iter()
        .map(|row| [&row["run"], &row["cell"], &row["repeat"]])
        .collect();
    assert_eq!(keys.len(), repeats.len(), "no key twice");
    let completed = repeats.iter().filter(|row| row["outcome"] == "completed");
    let done: HashSet<_> = completed.map(|row| (&row["cell"], &row["block"])).collect();
    assert_eq!(done.len(), 36, "every cell of every block");
    assert_eq!(repeats.len(), 36, "and nothing measured twice");
    let samples = rows(&folder.join("samples.csv"));
    assert_eq!(samples.len(), 36 * 40, "each repeat has its samples once");
}

#[test]
fn the_first_interrupt_ends_the_run_with_its_rows_safe() {
    let project = Project::new();
    project.file("long.toml", LONG);
    let harness = project.start(&["long.toml"]);
    wait_for("a worker", || !workers_of(&harness).is_empty());
    let workers = workers_of(&harness);
    signal(&harness, Signal::INT);
    // The second one asks not to wait for the end of the grace period.
    std::thread::sleep(Duration::from_millis(200));
    signal(&harness, Signal::INT);
    let called = Called::from(harness.wait_with_output().unwrap()).expect(130);
    assert!(called.stderr.contains("interrupted"), "{}", called.stderr);
    gone_within_two_seconds(&workers);
    project.file("long.toml", &LONG.replace("1000000000", "10"));
    project.run(&["long.toml"]).expect(0);
}

#[test]
fn two_runs_at_once_on_one_machine_are_refused() {
    let project = Project::new();
    project.file("long.toml", LONG);
    project.file(
        "other.toml",
        &LONG.replace("long", "other").replace("1000000000", "10"),
    );
    let lock = project.path("one.lock");
    let lock = ["--machine-lock", lock.to_str().unwrap()];
    let mut first = project.start(&["long.toml", lock[0], lock[1]]);
    wait_for("a worker", || !workers_of(&first).is_empty());
    let refused = project.run(&["other.toml", lock[0], lock[1]]).expect(1);
    assert!(
        refused.stderr.contains(&first.id().to_string()),
        "names who holds it: {}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("--share-machine"),
        "says what to do: {}",
        refused.stderr
    );
    project
        .run(&["other.toml", lock[0], lock[1], "--share-machine"])
        .expect(0);
    assert!(
        project
            .repeats("other")
            .iter()
            .all(|row| row["marks"].contains("disturbed"))
    );
    signal(&first, Signal::KILL);
    first.wait().unwrap();
}
