//! Whatever moment a writer ends at: rows are those before it, none is doubled, and the next one fits.

use super::*;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::tempdir;

/// Opens a folder that was left half-written, and goes on to repeat 5.
fn assert_continues(folder: &Path, context: &str) {
    let mut journal = open(folder);
    let there = journal.present().count() as u32;
    assert_eq!(numbers(folder), whole(there), "{context}");
    append_to(&mut journal, 5);
    assert_eq!(numbers(folder), whole(5), "{context}");
    for (read, repeat) in open_again(journal, folder).rows().iter().zip(1..) {
        let expected = row(read.key.run, repeat);
        assert_eq!(
            RepeatRow {
                provenance: Provenance::default(),
                ..read.clone()
            },
            expected
        );
    }
}

fn open_again(journal: Journal, folder: &Path) -> Journal {
    drop(journal);
    open(folder)
}

fn cut(path: &Path, length: u64) {
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(length)
        .unwrap();
}

/// Lengths of both files after each of repeats 0 to 3, in a folder that has all of them.
fn lengths(folder: &Path) -> Vec<(u64, u64)> {
    let length = |name: &str| fs::metadata(folder.join(name)).unwrap().len();
    let mut journal = open(folder);
    let mut lengths = Vec::new();
    for last in 0..=3 {
        append_to(&mut journal, last);
        lengths.push((length("repeats.csv"), length("samples.csv")));
    }
    lengths
}

#[test]
fn an_end_at_any_byte_of_an_append_leaves_whole_rows() {
    let (source, target) = (tempdir().unwrap(), tempdir().unwrap());
    let lengths = lengths(source.path());
    let ((rows, timings), (rows_after, timings_after)) = (lengths[2], lengths[3]);
    // Timings are written first, the row second.
    let first = (timings..=timings_after).map(|timings| (rows, timings));
    let second = (rows..=rows_after).map(|rows| (rows, timings_after));
    for (rows, timings) in first.chain(second) {
        copy(source.path(), target.path());
        cut(&target.path().join("repeats.csv"), rows);
        cut(&target.path().join("samples.csv"), timings);
        assert_continues(
            target.path(),
            &format!("rows cut at {rows}, timings at {timings}"),
        );
    }
}

#[test]
fn an_end_within_a_header_leaves_an_empty_table() {
    let (source, target) = (tempdir().unwrap(), tempdir().unwrap());
    let (rows, timings) = lengths(source.path())[0];
    for length in 0..=rows {
        copy(source.path(), target.path());
        cut(&target.path().join("repeats.csv"), length);
        cut(&target.path().join("samples.csv"), length.min(timings));
        assert_continues(target.path(), &format!("headers cut at {length}"));
    }
}

#[test]
fn a_tail_that_is_cut_off_is_reported() {
    let folder = tempdir().unwrap();
    let lengths = lengths(folder.path());
    cut(&folder.path().join("repeats.csv"), lengths[3].0 - 2);
    let notices = open(folder.path()).notices().join("\n");
    assert!(
        notices.contains("repeats.csv: cut off a row that was not written to its end ("),
        "{notices}"
    );
    assert!(
        notices.contains("samples.csv: cut off timings of a repeat that has no row ("),
        "{notices}"
    );
}

#[test]
fn timings_of_more_than_one_repeat_are_never_cut_off() {
    let folder = tempdir().unwrap();
    let lengths = lengths(folder.path());
    cut(&folder.path().join("repeats.csv"), lengths[1].0);
    let before = fs::read(folder.path().join("samples.csv")).unwrap();
    insta::assert_snapshot!(open_error(folder.path()), @"TMP/samples.csv: it ends with timings of repeats that repeats.csv does not have: bring repeats.csv back, or move this file away");
    assert_eq!(fs::read(folder.path().join("samples.csv")).unwrap(), before);
}

/// Names the folder that a copy of this test program writes to until it is killed.
const WRITER: &str = "TABLE_TEST_WRITER";

#[test]
fn kill_minus_9_at_any_moment_neither_loses_nor_doubles_a_row() {
    if let Some(folder) = std::env::var_os(WRITER) {
        append_to(&mut open(Path::new(&folder)), u32::MAX);
    }
    let folder = tempdir().unwrap();
    drop(open(folder.path()));
    let mut seen = 0;
    for pause in 0..20 {
        let mut writer = start_writer(folder.path());
        sleep(Duration::from_micros(157 * pause));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let there = open(folder.path()).present().count() as u32;
        assert!(there > seen, "no row survived");
        assert_eq!(numbers(folder.path()), whole(there));
        seen = there;
    }
}

fn length(folder: &Path) -> u64 {
    fs::metadata(folder.join("repeats.csv")).map_or(0, |metadata| metadata.len())
}

/// A writer that has added at least one row.
fn start_writer(folder: &Path) -> Child {
    let before = length(folder);
    let writer = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "interruption::kill_minus_9_at_any_moment_neither_loses_nor_doubles_a_row",
        ])
        .env(WRITER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while length(folder) <= before {
        assert!(Instant::now() < deadline, "the writer adds no rows");
        sleep(Duration::from_millis(1));
    }
    writer
}
