//! A write that the system ends half-way, as on a full disk.

use super::*;
use insta::assert_snapshot;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::process::Command;
use tempfile::tempdir;

/// Names the folder and the limit of a copy of this test program, which runs with `SIGXFSZ` ignored.
const LIMITED: &str = "TABLE_TEST_LIMITED";

#[test]
fn a_full_disk_is_a_clear_error_and_earlier_rows_are_intact() {
    if let Some(folder) = std::env::var_os(LIMITED) {
        return run_into_the_limit(Path::new(&folder));
    }
    let folder = tempdir().unwrap();
    append_to(&mut open(folder.path()), 2);
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "disk::a_full_disk_is_a_clear_error_and_earlier_rows_are_intact",
        ])
        .env(LIMITED, folder.path())
        .output()
        .unwrap();
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stdout)
    );
    assert_eq!(numbers(folder.path()), whole(3));
}

/// Every limit that ends the next row or its timings half-way gives the error, and leaves the folder
/// as it was; the same journal then goes on.
fn run_into_the_limit(folder: &Path) {
    let mut journal = open(folder);
    let length = |name: &str| fs::metadata(folder.join(name)).unwrap().len();
    let next = row(journal.run(), 3);
    for (name, further) in [
        ("samples.csv", 1),
        ("samples.csv", 50),
        ("repeats.csv", 1),
        ("repeats.csv", 60),
    ] {
        // The row's file is the longer one, so its limits let the timings pass.
        assert!(length("repeats.csv") > length("samples.csv") + 200);
        limit(Some(length(name) + further));
        let text = message(journal.append(&next, &samples(&next)));
        limit(None);
        assert!(text.starts_with("cannot append a row to "), "{text}");
        assert!(
            text.contains("every row before it is safe: make room and call xrun again: "),
            "{text}"
        );
        assert_eq!(numbers(folder), whole(2), "{name} {further}");
    }
    append_to(&mut journal, 3);
}

fn limit(bytes: Option<u64>) {
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: bytes,
            maximum: None,
        },
    )
    .unwrap();
}

#[test]
fn a_table_that_was_replaced_under_way_gets_no_row_that_would_be_lost() {
    let folder = tempdir().unwrap();
    let mut journal = open(folder.path());
    append_to(&mut journal, 1);
    let path = folder.path().join("repeats.csv");
    let text = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, text).unwrap();
    let next = row(journal.run(), 2);
    assert_snapshot!(message(journal.append(&next, &samples(&next))), @"TMP/repeats.csv: it was changed or replaced while rows were being added, so the last row was not written; call xrun again to continue from what is there now");
    drop(journal);
    append_to(&mut open(folder.path()), 2);
    assert_eq!(numbers(folder.path()), whole(2));
}
