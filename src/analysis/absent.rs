//! Cells that have no figures, and repeats that are missing from figures, each with its reason.

use crate::analysis::summary::{CellSummary, Summary};
use crate::terms::Outcome;

/// Cell labels that are named one by one for one reason.
const MAX_LABELS: usize = 6;

/// One line for each reason why cells have no figures, then one for each cell some of whose repeats
/// went wrong.
pub fn absent(summary: &Summary) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for cell in summary.cells.iter().filter(|cell| cell.figures.is_none()) {
        let why = match cell.reasons.first() {
            Some((outcome, reason)) => format!("{outcome} ({reason})"),
            None => "only stale rows".to_string(),
        };
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, labels)) => labels.push(&cell.label),
            None => reasons.push((why, vec![&cell.label])),
        }
    }
    let mut lines: Vec<String> = reasons
        .iter()
        .map(|(why, labels)| line(why, labels))
        .collect();
    lines.extend(summary.cells.iter().filter_map(partly));
    lines
}

fn line(why: &str, labels: &[&str]) -> String {
    let more = labels.len().saturating_sub(MAX_LABELS);
    let named = labels[..labels.len() - more].join("; ");
    match more {
        0 => format!("{why}: {named}"),
        _ => format!("{why}: {named}; and {more} more"),
    }
}

/// `failed in 2 of 6 repeats (out of memory): 2 devices, input on host`.
fn partly(cell: &CellSummary) -> Option<String> {
    let figures = cell.figures.as_ref()?;
    let (outcome, reason) = cell.reasons.iter().find(|(o, _)| *o != Outcome::Skipped)?;
    let wrong = |outcome: &Outcome| !matches!(outcome, Outcome::Completed | Outcome::Skipped);
    let wrong = cell.outcomes.iter().filter(|(outcome, _)| wrong(outcome));
    let lost: usize = wrong.map(|(_, n)| n).sum();
    let (all, label) = (lost + figures.n(), &cell.label);
    Some(format!(
        "{outcome} in {lost} of {all} repeats ({reason}): {label}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample_rows::RowBuilder;

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
}
