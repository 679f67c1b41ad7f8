//! Workers that say what is not so, or nothing that can be read.

use super::script::Stage;
use xrun::launch::RepeatResult;
use xrun::terms::Outcome;

fn ended(result: RepeatResult) -> (Outcome, String) {
    assert!(result.measured.is_none());
    assert!(result.seconds < 30.0, "the end took {} s", result.seconds);
    (result.outcome, result.reason)
}

/// The outcome and reason of one script.
fn run(life: &str) -> (Outcome, String) {
    ended(Stage::new(life).run())
}

#[test]
fn examples_that_were_not_trained_on_are_a_wrong_result() {
    let life = "begin; step 0; step 1; replica 7; finished 0.00002";
    let reason = "worker 0 replica 0 trained on 7 examples of 8".to_owned();
    assert_eq!(run(life), (Outcome::WrongResult, reason));
}

#[test]
fn more_time_than_passed_is_a_wrong_result() {
    let (outcome, reason) = run("begin; work; finished 1000");
    assert_eq!(outcome, Outcome::WrongResult);
    assert!(
        reason.starts_with("worker 0 claims 1000.000000 s for its steps, of which"),
        "{reason}"
    );
}

#[test]
fn less_time_than_the_steps_took_is_a_wrong_result() {
    let life = "begin; step 0; replica 8
        echo '{\"event\":\"step\",\"replica\":0,\"first_step\":1,\"steps\":1,\"seconds\":0.5,\"phases\":[0,0,0,0,0,0,0,0,0,0,0]}'
        finished 0.1";
    let (outcome, reason) = run(&format!("{life}; sleep 0.2"));
    assert_eq!(outcome, Outcome::WrongResult);
    assert!(reason.contains("claims 0.1"), "{reason}");
}

#[test]
fn garbage_is_quoted() {
    let reason =
        "worker 0 printed something that is not an event: Traceback (most recent call last):";
    let life = "begin; echo 'Traceback (most recent call last):'; sleep 1000";
    assert_eq!(run(life), (Outcome::Failed, reason.to_owned()));
}

#[test]
fn a_line_without_end_costs_neither_time_nor_memory() {
    let (outcome, reason) = run("begin; cat /dev/zero");
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        reason.starts_with("worker 0 printed something that is not an event: \\0\\0"),
        "{reason}"
    );
    assert!(reason.len() < 400);
}

#[test]
fn more_steps_than_asked_are_refused_at_once() {
    let reason = "worker 0 sent more steps or replicas than it was asked for".to_owned();
    assert_eq!(
        run("begin; while :; do step 0; done"),
        (Outcome::Failed, reason)
    );
}

#[test]
fn another_version_of_the_protocol_is_refused() {
    let (outcome, reason) = run(
        "job; echo '{\"event\":\"ready\",\"protocol\":99,\"program\":\"\",\"address\":null}'; start",
    );
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        reason.starts_with("worker 0 speaks version 99 of the protocol"),
        "{reason}"
    );
}

#[test]
fn a_worker_that_says_why_it_failed_is_quoted() {
    let life = "begin; echo '{\"event\":\"failed\",\"reason\":\"no such file: x\"}'; exit 1";
    assert_eq!(
        run(life),
        (
            Outcome::Failed,
            "worker 0 failed: no such file: x".to_owned()
        )
    );
}

#[test]
fn finished_and_a_bad_exit_status_is_no_success() {
    let reason = "worker 0 ended with exit status: 1 after its finished event".to_owned();
    assert_eq!(
        run("begin; work; finished 0.00002; exit 1"),
        (Outcome::Failed, reason)
    );
}

#[test]
fn a_good_exit_status_without_a_finished_event_is_no_success() {
    let reason = "worker 0 ended with exit status: 0 without a finished event".to_owned();
    assert_eq!(run("begin; work; exit 0"), (Outcome::Failed, reason));
}
