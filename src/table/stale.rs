//! In: rows, and how their cells are measured now. Out: which rows were measured otherwise, and in
//! what. Staleness is not stored: it is derived whenever rows are read. Pure: knows no files.

use super::{RepeatRow, Resolved};
use crate::terms::{Mark, Outcome};
use jiff::Timestamp;
use std::collections::HashMap;
use std::hash::Hash;

/// Marks completed rows that must not be compared with the rest of their run: those of another
/// program than the newest completed row of the run and flavour, those of another build than the newest
/// completed row of their block, and those that were resolved otherwise than the newest completed row
/// of their cell. For a reader of one folder who plans
/// nothing himself; rows of several folders are marked folder by folder.
pub fn mark_superseded(rows: &mut [RepeatRow]) {
    let of_program = newest(rows, |row| (run(row), row.settings.get("build.flavour")));
    let of_block = newest(rows, |row| (run(row), row.block));
    let of_cell = newest(rows, |row| (run(row), &row.key.cell));
    let superseded = |row: &RepeatRow| {
        let program = of_program.get(&(run(row), row.settings.get("build.flavour")))?;
        let now = Now {
            program: &program.provenance.program,
            build: of_block.get(&(run(row), row.block))?.build(),
            resolved: &of_cell.get(&(run(row), &row.key.cell))?.resolved,
        };
        change(row, &now)
    };
    let stale: Vec<bool> = rows
        .iter()
        .map(|row| row.outcome == Outcome::Completed && superseded(row).is_some())
        .collect();
    for (row, _) in rows.iter_mut().zip(stale).filter(|(_, stale)| *stale) {
        mark(row);
    }
}

/// Two checkouts may have runs of the same number.
fn run(row: &RepeatRow) -> (u32, &str) {
    (row.key.run, &row.provenance.run_token)
}

/// The completed row of each group that was measured last.
fn newest<'a, K: Eq + Hash>(
    rows: &'a [RepeatRow],
    group: impl Fn(&'a RepeatRow) -> K,
) -> HashMap<K, &'a RepeatRow> {
    // Rows of one second have started in the order of their file.
    let started = |row: &RepeatRow| row.started_at.parse::<Timestamp>().ok();
    let mut newest: HashMap<K, &RepeatRow> = HashMap::new();
    for row in rows.iter().filter(|row| row.outcome == Outcome::Completed) {
        let best = newest.entry(group(row)).or_insert(row);
        if started(row) >= started(best) {
            *best = row;
        }
    }
    newest
}

/// How a repeat would be measured now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now<'a> {
    pub program: &'a str,
    /// Of that program, in the repeat's block.
    pub build: u32,
    pub resolved: &'a Resolved,
}

/// What differs between how a row was measured and how it would be now; none where nothing does.
pub(super) fn change(row: &RepeatRow, now: &Now) -> Option<String> {
    if row.provenance.program != now.program {
        return Some("the program changed".to_owned());
    }
    let (was, build) = (&row.resolved, now.build);
    let now = now.resolved;
    let columns = [
        ("build", row.build().to_string(), build.to_string()),
        (
            "device_kind",
            was.device_kind.clone(),
            now.device_kind.clone(),
        ),
        (
            "replicas",
            was.replicas.to_string(),
            now.replicas.to_string(),
        ),
        (
            "global_batch",
            was.global_batch.to_string(),
            now.global_batch.to_string(),
        ),
        ("cores", was.cores.clone(), now.cores.clone()),
        (
            "threads_per_core",
            was.threads_per_core.to_string(),
            now.threads_per_core.to_string(),
        ),
    ];
    let changed = columns.into_iter().find(|(_, was, now)| was != now);
    changed.map(|(column, was, now)| format!("{column} was `{was}` and is `{now}` now"))
}

pub(super) fn mark(row: &mut RepeatRow) {
    if !row.marks.contains(&Mark::Stale) {
        row.marks.push(Mark::Stale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A completed row of run 2 that started at `second`.
    fn row(cell: &str, repeat: u32, program: &str, second: u32) -> RepeatRow {
        let mut row = RepeatRow::blank(Outcome::Completed);
        row.key = crate::table::Key {
            run: 2,
            cell: cell.to_owned(),
            repeat,
        };
        row.started_at = format!("2026-01-02T03:04:{second:02}Z");
        row.provenance.program = program.to_owned();
        row
    }

    fn flavour(mut row: RepeatRow, name: &str) -> RepeatRow {
        let key = "build.flavour".to_owned();
        row.settings.insert(key, name.to_owned());
        row
    }

    fn marked(mut rows: Vec<RepeatRow>) -> Vec<bool> {
        mark_superseded(&mut rows);
        let stale = |row: &RepeatRow| row.marks.contains(&Mark::Stale);
        rows.iter().map(stale).collect()
    }

    #[test]
    fn the_newest_completed_row_says_which_others_count() {
        let mut elsewhere = row("a", 1, "old", 0);
        elsewhere.key.run = 1;
        let mut failed = row("a", 2, "old", 2);
        failed.outcome = Outcome::Failed;
        let mut unfinished = row("a", 4, "newer", 4);
        unfinished.outcome = Outcome::TimedOut;
        let stale = marked(vec![
            elsewhere,
            row("a", 1, "old", 1),
            failed,
            row("a", 3, "new", 3),
            unfinished,
        ]);
        assert_eq!(stale, [false, true, false, false, false]);
    }

    #[test]
    fn one_cell_of_another_program_makes_the_whole_run_stale() {
        let rows = vec![
            row("x", 1, "A", 1),
            row("y", 1, "A", 2),
            row("x", 2, "A", 3),
            row("y", 2, "A", 4),
            row("x", 3, "B", 5),
        ];
        assert_eq!(marked(rows), [true, true, true, true, false]);
    }

    #[test]
    fn rows_of_one_second_have_started_in_the_order_of_their_file() {
        let rows = vec![row("x", 9, "A", 1), row("y", 1, "B", 1)];
        assert_eq!(marked(rows), [true, false]);
        let mut fraction = row("y", 1, "B", 1);
        fraction.started_at = "2026-01-02T03:04:01.5Z".to_owned();
        let rows = vec![fraction, row("x", 1, "A", 1)];
        assert_eq!(marked(rows), [false, true]);
    }

    #[test]
    fn flavours_have_a_program_each() {
        let rows = vec![
            flavour(row("x", 1, "A", 1), "default"),
            flavour(row("y", 1, "given", 2), "other"),
            flavour(row("z", 1, "B", 3), "default"),
        ];
        assert_eq!(marked(rows), [true, false, false]);
    }

    #[test]
    fn a_block_has_the_build_of_its_newest_row() {
        let of = |mut row: RepeatRow, block: u32, build: u32| {
            (row.block, row.build) = (block, build);
            row
        };
        let rows = vec![
            of(row("x", 1, "A", 1), 1, 0),
            of(row("y", 1, "A", 2), 1, 1),
            of(row("x", 2, "A", 3), 2, 0),
            of(row("y", 2, "A", 4), 2, 1),
            of(row("y", 3, "A", 5), 2, 2),
        ];
        assert_eq!(marked(rows), [false, false, true, true, false]);
    }

    #[test]
    fn what_the_machine_made_of_a_cell_is_compared_within_it() {
        let on = |mut row: RepeatRow, cores: &str| {
            row.resolved.cores = cores.to_owned();
            row
        };
        let rows = vec![
            on(row("x", 1, "A", 1), "0"),
            on(row("y", 1, "A", 2), "0,1"),
            on(row("x", 2, "A", 3), "1"),
        ];
        assert_eq!(marked(rows), [true, false, false]);
    }
}
