//! A harness in a process of its own that is killed by `kill -9`, or gets Ctrl-C.

use super::script::Stage;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use xrun::launch::Interrupted;
use xrun::launch::interrupt::listen;

/// Where the harness that is to be killed finds the folder to leave its notes in.
const NOTES: &str = "LAUNCH_TEST_NOTES";

/// A worker and its child, which both ignore what they can and tell when they are there.
const STUBBORN: &str = "trap '' TERM HUP INT; job; ready
    sh -c 'trap \"\" TERM HUP INT; : > \"$0/there\"; sleep 1000' \"$NOTES\" < /dev/null &
    while :; do sleep 1000; done";

/// The harness of the tests below; alone it does nothing.
#[test]
fn harness_of_its_own() {
    let Some(notes) = std::env::var_os(NOTES) else {
        return;
    };
    let notes = Path::new(&notes).display();
    let mut stage = Stage::new(&format!("NOTES={notes}\nFOLDER=$NOTES\n{STUBBORN}"));
    stage.interrupt = listen().unwrap();
    let result = stage.run_and_show(&mut |update| eprintln!("{update:?}"));
    assert_eq!(result, Err(Interrupted));
}

/// Starts that harness and waits until its worker runs. Its notes come in the folder of `stage`.
fn start(stage: &Stage) -> Child {
    let harness = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "launch::guard::harness_of_its_own",
            "--nocapture",
        ])
        .env(NOTES, stage.folder())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let there = stage.folder().join("there");
    wait_until("no worker", Duration::from_secs(20), || there.exists());
    assert!(stage.running() >= 2, "the worker and its child");
    harness
}

fn wait_until(what: &str, bound: Duration, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < bound, "{what} after {bound:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_outlives_a_harness_that_is_killed() {
    let stage = Stage::new("");
    let mut harness = start(&stage);
    harness.kill().unwrap();
    harness.wait().unwrap();
    let bound = Duration::from_secs(2);
    wait_until("processes are left", bound, || stage.running() == 0);
}

#[test]
fn the_second_ctrl_c_kills_the_repeat() {
    let stage = Stage::new("");
    let mut harness = start(&stage);
    let number = Pid::from_child(&harness);
    let mut shown = BufReader::new(harness.stderr.take().unwrap()).lines();
    kill_process(number, Signal::INT).unwrap();
    let stopping = shown.find(|line| line.as_ref().unwrap().contains("Stopping"));
    assert!(stopping.is_some() && stage.running() >= 2);
    kill_process(number, Signal::INT).unwrap();
    assert!(harness.wait().unwrap().success());
    assert_eq!(stage.running(), 0);
}
