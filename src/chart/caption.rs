//! The words around a picture: subtitle, meaning of the bars, and notes on marked, failed and
//! skipped cells.

use crate::analysis::wording::list;
use crate::analysis::{CellSummary, Story, View};
use crate::stats::Estimate;
use crate::terms::{Mark, Outcome};
use std::collections::{BTreeMap, BTreeSet};

/// Absent cells that are named one by one under a picture.
const MAX_NOTES: usize = 6;

/// `test-machine · n = 6 · bars: 95 % interval of the median`.
pub fn subtitle(view: &View, story: &Story) -> String {
    let with_bars = format!("{} · {}", counts(view), bars(view));
    match story.machine.is_empty() {
        true => with_bars,
        false => format!("{} · {with_bars}", story.machine),
    }
}

/// `n = 6`, or `n = 3 to 6` where cells differ.
pub fn counts(view: &View) -> String {
    let ns: BTreeSet<usize> = measured(view).map(|(_, n)| n).collect();
    match (ns.first(), ns.last()) {
        (Some(low), Some(high)) if low != high => format!("n = {low} to {high}"),
        (Some(n), _) => format!("n = {n}"),
        _ => "n = 0".to_string(),
    }
}

/// What error bars mean; the same for all points of one picture.
fn bars(view: &View) -> &'static str {
    match has_intervals(view) {
        true => "median, bars: its 95 % interval",
        false => "median, bars: lowest and highest repeat (too few for an interval)",
    }
}

/// Whether every cell has repeats enough for an interval.
fn has_intervals(view: &View) -> bool {
    measured(view).all(|(_, n)| n >= 6)
}

/// Ends of an error bar: the interval where the whole picture has intervals, else the range.
pub fn ends(view: &View, estimate: &Estimate, range: (f64, f64)) -> (f64, f64) {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) if has_intervals(view) => (low, high),
        _ => range,
    }
}

fn measured<'a>(view: &'a View) -> impl Iterator<Item = (&'a CellSummary, usize)> {
    let points = view.series.iter().flat_map(|series| series.measured());
    points.filter_map(|point| Some((point.cell, point.cell.figures.as_ref()?.n())))
}

/// All notes of a picture: what hollow means, then absent cells.
pub fn notes(view: &View) -> Vec<String> {
    let mut notes: Vec<String> = marks(view).into_iter().collect();
    notes.extend(absent_cells(view));
    notes
}

fn marks(view: &View) -> Option<String> {
    let mut cells: BTreeMap<Mark, usize> = BTreeMap::new();
    for (cell, _) in measured(view) {
        for mark in cell.marks.keys() {
            *cells.entry(*mark).or_default() += 1;
        }
    }
    let words: Vec<String> = cells.keys().map(|mark| mark.to_string()).collect();
    (!words.is_empty()).then(|| format!("hollow: {}", list(&words)))
}

/// Cells without figures, by what became of them and why; then cells some of whose repeats failed.
pub fn absent_cells(view: &View) -> Vec<String> {
    let cells = view.summary.cells.iter();
    let mut absent: Vec<(String, Vec<String>)> = Vec::new();
    for cell in cells.filter(|cell| cell.figures.is_none()) {
        let why = match cell.reasons.first() {
            Some((outcome, reason)) => format!("{outcome} ({reason})"),
            None => "only stale rows".to_string(),
        };
        match absent.iter_mut().find(|(known, _)| *known == why) {
            Some((_, labels)) => labels.push(cell.label.clone()),
            None => absent.push((why, vec![cell.label.clone()])),
        }
    }
    let mut notes: Vec<String> = absent.iter().map(|(why, labels)| note(why, labels)).collect();
    notes.extend(view.summary.cells.iter().filter_map(partly));
    let more = notes.len().saturating_sub(MAX_NOTES);
    notes.truncate(MAX_NOTES);
    if more > 0 {
        notes.push(format!("and {more} more"));
    }
    notes
}

fn note(why: &str, labels: &[String]) -> String {
    let more = labels.len().saturating_sub(MAX_NOTES);
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
    let lost: usize = cell.outcomes.iter().filter(|(o, _)| **o != Outcome::Completed).map(|(_, n)| n).sum();
    let all = lost + figures.n();
    Some(format!("{outcome} in {lost} of {all} repeats ({reason}): {}", cell.label))
}
