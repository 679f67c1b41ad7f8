//! Workers that hang, crash, or leave something behind; and users who do not want to wait.

use super::script::Stage;
use std::thread;
use xrun::launch::interrupt::{Stage as Urgency, channel};
use xrun::launch::{Interrupted, Update};
use xrun::terms::Outcome;

/// The outcome and reason of one script.
fn run(stage: Stage) -> (Outcome, String) {
    let result = stage.run();
    assert!(result.measured.is_none());
    assert!(result.seconds < 30.0, "the end took {} s", result.seconds);
    (result.outcome, result.reason)
}

#[test]
fn a_worker_that_hangs_is_timed_out() {
    let hangs = [
        (
            "note; sleep 1000",
            "worker 0 was not ready after 1.00 s (measure.timeout)",
        ),
        (
            "begin; progress; sleep 1000",
            "worker 0 had told of 1 steps after 1.00 s (measure.timeout)",
        ),
        (
            "trap '' TERM; begin; while :; do sleep 1; done",
            "worker 0 had told of 0 steps after 1.00 s (measure.timeout)",
        ),
    ];
    for (life, reason) in hangs {
        let (outcome, said) = run(Stage::new(life).timeout(1));
        assert_eq!((outcome, said.as_str()), (Outcome::TimedOut, reason));
    }
}

#[test]
fn a_worker_that_never_reads_its_job_is_timed_out() {
    let reason = "worker 0 was ready and waited for others, worker 1 was not ready after 1.00 s \
                  (measure.timeout)";
    let life = "note; ready; [ \"$$\" = x ] || sleep 1000";
    // Worker 1 is the one that is not ready.
    let stage = Stage::new(&format!(
        "job; case $job in *'\"rank\":1'*) sleep 1000;; esac; {life}"
    ));
    assert_eq!(
        run(stage.timeout(1).workers(2)),
        (Outcome::TimedOut, reason.to_owned())
    );
}

#[test]
fn a_crash_tells_its_signal_and_the_end_of_stderr() {
    let life = "begin; for i in 1 2 3 4; do echo line $i >&2; done; kill -SEGV $$";
    let (outcome, reason) = run(Stage::new(life));
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        reason.starts_with("worker 0 ended with signal: 11 (SIGSEGV)"),
        "{reason}"
    );
    assert!(
        reason.ends_with(" without a finished event; stderr: line 2 | line 3 | line 4"),
        "{reason}"
    );
}

#[test]
fn an_exit_status_is_told() {
    let reason = "worker 0 ended with exit status: 3 without a finished event".to_owned();
    assert_eq!(run(Stage::new("begin; exit 3")), (Outcome::Failed, reason));
    let reason = "worker 0 ended with exit status: 4 before it was ready".to_owned();
    assert_eq!(run(Stage::new("exit 4")), (Outcome::Failed, reason));
}

#[test]
fn one_failed_rank_ends_all() {
    let life = "begin; case $job in *'\"rank\":1'*) exit 5;; esac; sleep 1000";
    let reason = "worker 1 ended with exit status: 5 without a finished event".to_owned();
    assert_eq!(run(Stage::new(life).workers(2)), (Outcome::Failed, reason));
}

#[test]
fn a_program_that_cannot_run_is_a_failure() {
    let stage = Stage::new("");
    let path = stage.folder().join("worker");
    std::fs::write(&path, "#!/no/such/interpreter\n").unwrap();
    let (outcome, reason) = run(stage);
    assert_eq!(outcome, Outcome::Failed);
    let start = format!(
        "worker 0 could not be started from {}: No such file",
        path.display()
    );
    assert!(reason.starts_with(&start), "{reason}");
}

#[test]
fn a_process_left_behind_is_killed_and_told() {
    let reason = "left 2 process(es) behind, killed".to_owned();
    let life =
        "begin; work; sleep 1000 & sleep 1000 < /dev/null > /dev/null 2>&1 & finished 0.00002";
    assert_eq!(run(Stage::new(life)), (Outcome::Failed, reason));
}

#[test]
fn a_process_that_left_the_group_with_the_output_is_told() {
    let life = "begin; work; finished 0.00002; setsid sleep 12 & sleep 0.2";
    let reason =
        "worker 0 left a process outside its group that holds its output open within 5.00 s";
    let (outcome, said) = run(Stage::new(life));
    assert_eq!((outcome, said.as_str()), (Outcome::Failed, reason));
}

#[test]
fn a_worker_that_closes_its_output_and_goes_on_is_killed() {
    let reason = "worker 0 closed its output and did not exit within 5.00 s".to_owned();
    assert_eq!(
        run(Stage::new("begin; exec >&-; sleep 1000")),
        (Outcome::Failed, reason)
    );
}

#[test]
fn a_worker_that_finishes_and_stays_is_killed() {
    let reason = "worker 0 finished and did not exit within 5.00 s".to_owned();
    let life = "begin; work; finished 0.00002; sleep 1000";
    assert_eq!(run(Stage::new(life)), (Outcome::Failed, reason));
}

#[test]
fn the_first_interrupt_lets_the_repeat_end() {
    let (pull, interrupt) = channel();
    let mut stage =
        Stage::new("begin; progress; sleep 0.5; step 0; step 1; replica 8; finished 0.00002");
    stage.interrupt = interrupt;
    let mut stopping = 0;
    let result = stage.run_and_show(&mut |update| match update {
        Update::Ready => {}
        Update::Steps(_) => drop(pull.send_replace(Urgency::Finish)),
        Update::Stopping { .. } => stopping += 1,
    });
    assert_eq!(result.unwrap().outcome, Outcome::Completed);
    assert_eq!(stopping, 1);
    assert_eq!(
        stage.run_and_show(&mut |_| ()),
        Err(Interrupted),
        "another repeat was started"
    );
}

#[test]
fn the_second_interrupt_kills_the_repeat() {
    let (pull, interrupt) = channel();
    let mut stage = Stage::new("begin; progress; trap '' TERM; sleep 1000");
    stage.interrupt = interrupt;
    let (started, wait) = std::sync::mpsc::channel();
    let puller = thread::spawn(move || {
        wait.recv().unwrap();
        pull.send_replace(Urgency::Finish);
        pull.send_replace(Urgency::Kill);
    });
    let result = stage.run_and_show(&mut |update| {
        if update == Update::Steps(1) {
            started.send(()).unwrap();
        }
    });
    puller.join().unwrap();
    assert_eq!(result, Err(Interrupted));
}
