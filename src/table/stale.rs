//! In: rows, and how their cells are measured now. Out: which rows were measured otherwise, and in
//! what. Staleness is not stored: it is derived whenever rows are read. Pure: knows no files.

use super::{RepeatRow, Resolved};
use crate::terms::{Mark, Outcome};
use std::collections::HashMap;

/// Marks completed rows that were measured by another program, or resolved otherwise, than the newest
/// completed row of their cell and run: for a reader of a folder who plans nothing himself.
pub fn mark_superseded(rows: &mut [RepeatRow]) {
    let mut newest: HashMap<_, &RepeatRow> = HashMap::new();
    for row in rows.iter().filter(|row| row.outcome == Outcome::Completed) {
        let best = newest
            .entry((row.key.run, &row.provenance.run_token, &row.key.cell))
            .or_insert(row);
        if row.key.repeat > best.key.repeat {
            *best = row;
        }
    }
    let superseded = |row: &RepeatRow| {
        let newest = newest.get(&(row.key.run, &row.provenance.run_token, &row.key.cell))?;
        change(row, &newest.provenance.program, &newest.resolved)
    };
    let stale: Vec<bool> = rows
        .iter()
        .map(|row| row.outcome == Outcome::Completed && superseded(row).is_some())
        .collect();
    for (row, _) in rows.iter_mut().zip(stale).filter(|(_, stale)| *stale) {
        mark(row);
    }
}

/// What differs between how a row was measured and this program on this machine; none where nothing does.
pub(super) fn change(row: &RepeatRow, program: &str, now: &Resolved) -> Option<String> {
    if row.provenance.program != program {
        return Some("the program changed".to_owned());
    }
    let was = &row.resolved;
    let columns = [
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

    fn row(run: u32, repeat: u32, program: &str, outcome: Outcome) -> RepeatRow {
        let mut row = RepeatRow::blank(outcome);
        row.key = crate::table::Key {
            run,
            cell: "a".to_owned(),
            repeat,
        };
        row.provenance.program = program.to_owned();
        row
    }

    #[test]
    fn the_newest_completed_row_of_a_cell_says_which_others_count() {
        let mut rows = [
            row(1, 1, "old", Outcome::Completed),
            row(2, 1, "old", Outcome::Completed),
            row(2, 2, "old", Outcome::Failed),
            row(2, 3, "new", Outcome::Completed),
            row(2, 4, "newer", Outcome::Failed),
        ];
        mark_superseded(&mut rows);
        let stale: Vec<bool> = rows
            .iter()
            .map(|row| row.marks.contains(&Mark::Stale))
            .collect();
        assert_eq!(stale, [false, true, false, false, false]);
    }
}
