//! In: the rows of a cell and the raw timings beside them. Out: its completed repeats as they are
//! compared, and whether they came to rest. Prints nothing.

use super::source::Results;
use crate::analysis::{CellSummary, Figures};
use crate::commands::report::Restless;
use crate::stats::{self, Steady};
use crate::table::{Measured, RepeatRow};
use std::collections::BTreeMap;

/// One repeat of a cell, as it is compared.
pub struct Process {
    pub rate: f64,
    /// Seconds of a step in each window; empty where they are not known.
    windows: Vec<f64>,
}

impl Process {
    /// One for the process, or one for each of its windows.
    pub fn rates(&self, with_windows: bool) -> Vec<f64> {
        match stats::median(&self.windows).filter(|_| with_windows) {
            Some(middle) => {
                let rate = |seconds: &f64| self.rate * middle / seconds;
                self.windows.iter().map(rate).collect()
            }
            None => vec![self.rate],
        }
    }
}

/// The completed repeats of a cell by block. The later of two repeats of a block counts.
pub fn processes(side: &Results, cell: &CellSummary) -> BTreeMap<u32, Process> {
    let mut rows: Vec<&RepeatRow> = side.rows.iter().collect();
    rows.retain(|row| row.key.cell == cell.cell && row.counts());
    rows.sort_by_key(|row| row.key.repeat);
    let process = |row: &&RepeatRow| {
        let process = Process {
            rate: rate(row.measured.as_ref()?),
            windows: side.windows.of(&cell.cell, row.key.repeat),
        };
        Some((row.block, process))
    };
    rows.iter().filter_map(process).collect()
}

/// Examples per second over all replicas while a step takes as long as the median one does: what disturbs
/// a few steps does not count.
pub fn rate(measured: &Measured) -> f64 {
    let examples_per_step = measured.examples as f64 / measured.steps as f64;
    examples_per_step / measured.step_seconds_median
}

/// The median over a cell's repeats.
pub fn median_rate(figures: &Figures) -> f64 {
    figures.estimate(rate).median
}

impl Results {
    /// That steps of some repeats of a cell came to no rest while they were measured.
    pub fn restless<'a>(&self, cell: &'a CellSummary) -> Option<Restless<'a>> {
        let processes = processes(self, cell);
        let windows = processes.values().map(|process| &process.windows);
        let restless = windows.filter(|windows| stats::steady(windows) == Steady::NotFound);
        let repeats = restless.count();
        (repeats > 0).then_some(Restless {
            label: &cell.label,
            repeats,
            of: processes.len(),
        })
    }
}
