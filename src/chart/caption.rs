//! The words around a picture: subtitle, meaning of the bars, and notes on marked, failed and
//! skipped cells.

use crate::analysis::wording::list;
use crate::analysis::{CellSummary, Estimate, Story, View, absent};
use crate::terms::Mark;
use std::collections::{BTreeMap, BTreeSet};

/// Lines on absent cells under a picture.
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
    if measured(view).all(|(_, n)| n == 1) {
        return "one repeat of each cell, no interval";
    }
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

/// What has no figures and why, as many lines as a picture has room for.
pub fn absent_cells(view: &View) -> Vec<String> {
    let mut notes = absent(view.summary);
    let more = notes.len().saturating_sub(MAX_NOTES);
    notes.truncate(MAX_NOTES);
    if more > 0 {
        notes.push(format!("and {more} more"));
    }
    notes
}
