use super::*;
use crate::table::RepeatRow;

fn resolved() -> Resolved {
    Resolved {
        device_kind: "cpu".to_owned(),
        replicas: 1,
        cores: "0".to_owned(),
        ..Resolved::default()
    }
}

fn row(cell: &str, repeat: u32, block: u32, outcome: Outcome) -> RepeatRow {
    let mut row = RepeatRow::blank(outcome);
    row.key = crate::table::Key {
        run: 2,
        cell: cell.to_owned(),
        repeat,
    };
    row.block = block;
    row.provenance.program = "p1".to_owned();
    row.resolved = resolved();
    row
}

fn done(cell: &str, repeat: u32, block: u32) -> RepeatRow {
    row(cell, repeat, block, Outcome::Completed)
}

fn failed(cell: &str, repeat: u32, block: u32, reason: &str) -> RepeatRow {
    RepeatRow {
        reason: reason.to_owned(),
        ..row(cell, repeat, block, Outcome::Failed)
    }
}

fn skipped(cell: &str, repeat: u32, reason: &str) -> RepeatRow {
    RepeatRow {
        reason: reason.to_owned(),
        ..row(cell, repeat, 0, Outcome::Skipped)
    }
}

/// Each decision as a line: `cell block: why -> number of the new repeat`.
fn lines(rows: &[RepeatRow], wanted: &[Wanted], mode: Mode, add: u32) -> Vec<String> {
    let line = |decision: &Decision| {
        let Decision {
            wanted: index,
            block,
            why,
            action,
        } = decision;
        let action = match action {
            Action::Measure { repeat } => format!(" -> {repeat}"),
            Action::RecordSkip { repeat } => format!(" -> skip {repeat}"),
            Action::Nothing => String::new(),
        };
        format!("{} {block}: {why}{action}", wanted[*index].cell)
    };
    decide(rows, 2, wanted, mode, add)
        .iter()
        .map(line)
        .collect()
}

fn wanted<'a>(cell: &'a str, repeats: u32, resolved: &'a Resolved) -> Wanted<'a> {
    Wanted {
        cell,
        repeats,
        program: "p1",
        builds: 1,
        resolved,
        skip: None,
    }
}

#[test]
fn what_is_missing_failed_or_stale_is_measured_under_a_new_number_of_its_block() {
    let resolved = resolved();
    let mut old = done("a", 3, 3);
    old.provenance.program = "p0".to_owned();
    let mut other_run = done("a", 9, 4);
    other_run.key.run = 1;
    let rows = [
        done("a", 1, 1),
        failed("a", 2, 2, "out of memory\nstack: …"),
        old,
        other_run,
    ];
    assert_eq!(
        lines(&rows, &[wanted("a", 4, &resolved)], Mode::Continue, 0),
        [
            "a 1: done",
            "a 2: failed before: out of memory -> 4",
            "a 3: stale: the program changed -> 5",
            "a 4: missing -> 6",
        ]
    );
}

#[test]
fn a_block_that_was_mended_is_done_whatever_failed_in_it() {
    let resolved = resolved();
    let rows = [
        failed("a", 1, 1, "killed"),
        done("a", 2, 1),
        row("a", 3, 2, Outcome::TimedOut),
    ];
    assert_eq!(
        lines(&rows, &[wanted("a", 2, &resolved)], Mode::Continue, 0),
        ["a 1: done", "a 2: failed before: timed-out -> 4"]
    );
}

#[test]
fn a_narrow_rerun_leaves_the_rest_alone() {
    let resolved = resolved();
    let mut moved = done("a", 2, 2);
    moved.resolved.cores = "1".to_owned();
    let rows = [failed("a", 1, 1, "killed"), moved, done("a", 3, 3)];
    let wanted = [wanted("a", 4, &resolved)];
    assert_eq!(
        lines(&rows, &wanted, Mode::RerunFailed, 0),
        [
            "a 1: failed before: killed -> 4",
            "a 2: stale: cores was `1` and is `0` now",
            "a 3: done",
            "a 4: missing",
        ]
    );
    assert_eq!(
        lines(&rows, &wanted, Mode::RerunStale, 0)[1],
        "a 2: stale: cores was `1` and is `0` now -> 4"
    );
    assert_eq!(
        lines(&rows, &wanted, Mode::RerunAll, 0)[2],
        "a 3: measured again, done or not -> 6"
    );
}

#[test]
fn added_repeats_follow_the_last_block_that_all_cells_tried() {
    let resolved = resolved();
    let wanted = [wanted("a", 1, &resolved), wanted("b", 1, &resolved)];
    let first = [done("a", 1, 1), done("b", 1, 1)];
    assert_eq!(
        lines(&first, &wanted, Mode::Continue, 1),
        [
            "a 1: done",
            "a 2: missing -> 2",
            "b 1: done",
            "b 2: missing -> 2"
        ]
    );
    // Interrupted in block 2: the same call goes on with it, and does not ask for block 3.
    let half = [done("a", 1, 1), done("b", 1, 1), done("a", 2, 2)];
    assert_eq!(
        lines(&half, &wanted, Mode::Continue, 1),
        ["a 1: done", "a 2: done", "b 1: done", "b 2: missing -> 2"]
    );
    let whole = [
        done("a", 1, 1),
        done("b", 1, 1),
        done("a", 2, 2),
        failed("b", 2, 2, "x"),
    ];
    assert_eq!(
        lines(&whole, &wanted, Mode::Continue, 1)[2],
        "a 3: missing -> 3"
    );
}

#[test]
fn a_skipped_cell_has_one_row_for_each_reason_and_is_measured_when_there_is_none() {
    let resolved = resolved();
    let here = wanted("a", 2, &resolved);
    let without = Wanted {
        skip: Some("no CUDA device"),
        ..here
    };
    assert_eq!(
        lines(&[], &[without], Mode::Continue, 0),
        ["a 0: skipped: no CUDA device -> skip 1"]
    );
    let rows = [skipped("a", 1, "no CUDA device")];
    assert_eq!(
        lines(&rows, &[without], Mode::Continue, 0),
        ["a 0: skipped: no CUDA device"]
    );
    let other = Wanted {
        skip: Some("no compiler"),
        ..here
    };
    assert_eq!(
        lines(&rows, &[other], Mode::Continue, 0),
        ["a 0: skipped: no compiler -> skip 2"]
    );
    assert_eq!(
        lines(&rows, &[here], Mode::Continue, 0),
        ["a 1: missing -> 2", "a 2: missing -> 3"]
    );
}

#[test]
fn what_is_done_stays_done_where_the_cell_cannot_be_measured_any_more() {
    let nothing = Resolved::default();
    let gone = Wanted {
        skip: Some("no CUDA device"),
        ..wanted("a", 2, &nothing)
    };
    assert_eq!(
        lines(&[done("a", 1, 1)], &[gone], Mode::Continue, 0),
        ["a 1: done", "a 0: skipped: no CUDA device -> skip 2"]
    );
    assert_eq!(
        lines(
            &[done("a", 1, 1), done("a", 2, 2)],
            &[gone],
            Mode::Continue,
            0
        ),
        ["a 1: done", "a 2: done"]
    );
}

#[test]
fn rows_of_another_program_are_marked_once_and_only_in_the_present_run() {
    let resolved = resolved();
    let mut reference = done("a", 1, 1);
    reference.key.run = 1;
    reference.provenance.program = "p0".to_owned();
    let stale = RepeatRow {
        key: done("a", 1, 1).key,
        ..reference.clone()
    };
    let mut rows = vec![reference, stale, done("a", 2, 1), done("b", 1, 1)];
    for _ in 0..2 {
        mark_stale(&mut rows, 2, &[wanted("a", 1, &resolved)]);
    }
    let marks: Vec<usize> = rows.iter().map(|row| row.marks.len()).collect();
    assert_eq!(marks, [0, 1, 0, 0]);
    assert!(!rows[1].counts() && rows[2].counts());
}

#[test]
fn a_repeat_counts_with_the_build_of_its_block_alone() {
    let resolved = resolved();
    let of_build = |repeat, build| RepeatRow {
        build,
        ..done("a", repeat, repeat)
    };
    let rows = [of_build(1, 0), of_build(2, 1), of_build(3, 1)];
    let several = |builds| Wanted {
        builds,
        ..wanted("a", 4, &resolved)
    };
    let one = ["a 1: done", "a 2: done", "a 3: done", "a 4: missing -> 4"];
    assert_eq!(lines(&rows, &[several(1)], Mode::Continue, 0), one);
    let two = [
        "a 1: done",
        "a 2: stale: build was `1` and is `2` now -> 4",
        "a 3: done",
        "a 4: missing -> 5",
    ];
    assert_eq!(lines(&rows, &[several(2)], Mode::Continue, 0), two);
    let mut marked = rows.to_vec();
    mark_stale(&mut marked, 2, &[several(2)]);
    let stale: Vec<bool> = marked.iter().map(|row| !row.counts()).collect();
    assert_eq!(stale, [false, true, false]);
}
