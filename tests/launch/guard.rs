//! A harness that is killed by `kill -9` leaves nothing.

use super::script::Stage;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Where the harness that is to be killed finds the folder to leave its notes in.
const NOTES: &str = "LAUNCH_TEST_NOTES";

/// A worker and its child, which both ignore what they can and tell when they are there.
const STUBBORN: &str = "trap '' TERM HUP INT; job; ready
    sh -c 'trap \"\" TERM HUP INT; : > \"$0/there\"; sleep 1000' \"$NOTES\" < /dev/null &
    while :; do sleep 1000; done";

/// The harness of the test below; alone it does nothing.
#[test]
fn harness_that_gets_killed() {
    let Some(notes) = std::env::var_os(NOTES) else {
        return;
    };
    let notes = Path::new(&notes);
    let stage = Stage::new(&format!(
        "NOTES={}\nFOLDER=$NOTES\n{STUBBORN}",
        notes.display()
    ));
    stage.run();
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
    let mut harness = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "launch::guard::harness_that_gets_killed"])
        .env(NOTES, stage.folder())
        .spawn()
        .unwrap();
    let there = stage.folder().join("there");
    wait_until("no worker", Duration::from_secs(20), || there.exists());
    assert!(stage.running() >= 2, "the worker and its child");
    harness.kill().unwrap();
    harness.wait().unwrap();
    wait_until("processes are left", Duration::from_secs(2), || {
        stage.running() == 0
    });
}
