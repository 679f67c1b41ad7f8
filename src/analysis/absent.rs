//! Cells that have no figures, and repeats that are missing from figures, each with its reason.

use crate::analysis::summary::{CellSummary, Summary};
use crate::terms::Outcome;
use std::collections::BTreeMap;

/// Cell labels that are named one by one for one reason.
const MAX_LABELS: usize = 6;

/// One line for each reason why cells have no figures, then one for each cell some of whose repeats
/// went wrong. The newest row of a cell says why.
pub fn absent(summary: &Summary) -> Vec<String> {
    let without = summary.cells.iter().filter(|cell| cell.figures.is_none());
    let mut lines = by_reason(without.map(|cell| {
        let why = match cell.reasons.first() {
            Some((outcome, reason)) => format!("{outcome} ({reason})"),
            None => "only stale rows".to_string(),
        };
        (why, cell.label.as_str())
    }));
    lines.extend(summary.cells.iter().flat_map(partly));
    lines
}

/// `reason: label; label` for each distinct reason of `cells`, in the order of first appearance.
pub fn by_reason<'a>(cells: impl Iterator<Item = (String, &'a str)>) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for (why, label) in cells {
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, labels)) => labels.push(label),
            None => reasons.push((why, vec![label])),
        }
    }
    let lines = reasons.iter().map(|(why, labels)| line(why, labels));
    lines.collect()
}

fn line(why: &str, labels: &[&str]) -> String {
    let more = labels.len().saturating_sub(MAX_LABELS);
    let named = labels[..labels.len() - more].join("; ");
    match more {
        0 => format!("{why}: {named}"),
        _ => format!("{why}: {named}; and {more} more"),
    }
}

/// For each outcome, `failed in 2 of 6 repeats (out of memory): 2 devices, input on host`.
fn partly(cell: &CellSummary) -> Vec<String> {
    let Some(figures) = &cell.figures else {
        return Vec::new();
    };
    let all = cell.lost.len() + figures.n();
    let mut newest: BTreeMap<Outcome, (usize, &str)> = BTreeMap::new();
    for (outcome, reason) in &cell.lost {
        newest.entry(*outcome).or_insert((0, reason)).0 += 1;
    }
    let line = |(outcome, (lost, reason)): (Outcome, (usize, &str))| {
        let label = &cell.label;
        format!("{outcome} in {lost} of {all} repeats ({reason}): {label}")
    };
    newest.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample_rows::RowBuilder;
    use crate::table::RepeatRow;

    #[test]
    fn cells_with_one_reason_share_a_line_and_lost_repeats_are_counted() {
        let mut rows = Vec::new();
        for replicas in [4, 8] {
            rows.extend(RowBuilder::cifar10(replicas).skipped("2 cores are here", 1));
        }
        let mut half = RowBuilder::cifar10(2).repeats(4);
        half[3].outcome = Outcome::TimedOut;
        half[3].reason = "no end within 300 s".into();
        half[3].measured = None;
        rows.extend(half);
        insta::assert_snapshot!(absent(&Summary::of(&rows)).join("\n"), @"
    skipped (2 cores are here): 4 devices, input on host; 8 devices, input on host
    timed-out in 1 of 4 repeats (no end within 300 s): 2 devices, input on host
    ");
    }

    /// One row of the two-replica cell that went wrong.
    fn wrong(repeat: u32, outcome: Outcome, reason: &str) -> RepeatRow {
        let mut row = RowBuilder::cifar10(2).repeats(1).remove(0);
        (row.key.repeat, row.block, row.outcome) = (repeat, repeat, outcome);
        (row.reason, row.measured) = (reason.into(), None);
        row
    }

    #[test]
    fn the_newest_row_says_why_and_what_was_completed_later_is_not_absent() {
        let mut rows = vec![
            wrong(1, Outcome::Skipped, "1 core is here"),
            wrong(2, Outcome::Failed, "out of memory"),
        ];
        insta::assert_snapshot!(absent(&Summary::of(&rows)).join("\n"), @"failed (out of memory): 2 devices, input on host");
        let mut again = RowBuilder::cifar10(2).repeats(1);
        (again[0].key.repeat, again[0].block) = (3, 2);
        rows.extend(again);
        assert_eq!(absent(&Summary::of(&rows)), Vec::<String>::new());
    }
}
