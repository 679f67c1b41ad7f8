//! In: rows of all runs. Out: one [`CellSummary`] for each cell of the newest run.

use crate::analysis::estimate::Estimate;
use crate::stats::InBlock;
use crate::table::retaken::Retaken;
use crate::table::{Ceilings, Measured, RepeatRow};
use crate::terms::{DeviceKind, Mark, Outcome, Phase};
use std::collections::{BTreeMap, BTreeSet};

/// Every cell of the newest run of a result folder, in the order of first appearance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    pub run: u32,
    pub cells: Vec<CellSummary>,
}

/// One cell over all its repeats.
#[derive(Clone, Debug, PartialEq)]
pub struct CellSummary {
    pub cell: String,
    pub label: String,
    /// The id of the cell that this one is the A/A twin of.
    pub twin_of: Option<String>,
    pub axis_labels: BTreeMap<String, String>,
    pub settings: BTreeMap<String, String>,
    /// What its replicas live on: `cpu` or `cuda`; empty where nothing resolved it.
    pub device_kind: String,
    pub replicas: u32,
    /// Examples a step, over all replicas.
    pub global_batch: u64,
    pub threads_per_core: f64,
    /// Rows by outcome; stale rows are counted apart.
    pub outcomes: BTreeMap<Outcome, usize>,
    pub stale: usize,
    /// Completed repeats that were disturbed and taken again; figures rest on the second attempts.
    pub retaken: usize,
    /// Distinct reasons of what was not completed, the newest first; the first line of each.
    pub reasons: Vec<(Outcome, String)>,
    /// Outcome and reason of the newest repeat of each block that was tried and never completed, the
    /// newest first.
    pub lost: Vec<(Outcome, String)>,
    /// Marks of the repeats that the figures rest on.
    pub marks: BTreeMap<Mark, usize>,
    /// None where no repeat was completed.
    pub figures: Option<Figures>,
}

/// What the completed repeats of one cell say, never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    pub repeats: Vec<Repeat>,
}

/// What one completed repeat says.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    pub block: u32,
    /// Which build of its flavour it measured, from 1.
    pub build: u32,
    pub measured: Measured,
    /// Of its block.
    pub ceilings: Ceilings,
}

impl Summary {
    /// Summarises the newest run of `rows`.
    pub fn of(rows: &[RepeatRow]) -> Summary {
        let newest = rows.iter().map(|row| row.key.run).max().unwrap_or(0);
        Summary::of_run(rows, newest)
    }

    /// Summarises one run of `rows`; it has no cells where none of them is of that run.
    pub fn of_run(rows: &[RepeatRow], run: u32) -> Summary {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut groups: Vec<Vec<&RepeatRow>> = Vec::new();
        for row in rows.iter().filter(|row| row.key.run == run) {
            let place = *places.entry(&row.key.cell).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Vec::new());
            }
            groups[place].push(row);
        }
        let cells = groups.iter().map(|rows| CellSummary::of(rows)).collect();
        Summary { run, cells }
    }

    /// Cells that answer a question: all but A/A twins, which only tell how much noise there is.
    pub fn originals(&self) -> impl Iterator<Item = &CellSummary> {
        self.cells.iter().filter(|cell| cell.twin_of.is_none())
    }

    /// Completed cells.
    pub fn measured(&self) -> impl Iterator<Item = (&CellSummary, &Figures)> {
        self.cells
            .iter()
            .filter_map(|cell| cell.figures.as_ref().map(|figures| (cell, figures)))
    }
}

impl CellSummary {
    /// `rows` are those of one cell in one run, at least one. The newest of them names the cell.
    fn of(rows: &[&RepeatRow]) -> CellSummary {
        let rows = newest_first(rows);
        let shown = rows.first().expect("a group of rows has at least one");
        let (stale, fresh): (Vec<_>, Vec<_>) = rows
            .iter()
            .copied()
            .partition(|row: &&RepeatRow| row.marks.contains(&Mark::Stale));
        let again = Retaken::among(fresh.iter().copied());
        let completed = fresh.iter().copied().filter(|row| is_measured(row));
        let (retaken, mut repeats): (Vec<_>, Vec<_>) =
            completed.partition(|row| again.gave_way(row));
        // The later of two values of a block is the one that is compared.
        repeats.reverse();
        let resolved = repeats.last().map_or(&shown.resolved, |row| &row.resolved);
        let mut marks = BTreeMap::new();
        for mark in repeats.iter().flat_map(|row| &row.marks) {
            *marks.entry(*mark).or_default() += 1;
        }
        CellSummary {
            cell: shown.key.cell.clone(),
            label: shown.label.clone(),
            twin_of: Some(shown.twin_of.clone()).filter(|original| !original.is_empty()),
            axis_labels: shown.axis_labels.clone(),
            settings: shown.settings.clone(),
            device_kind: resolved.device_kind.clone(),
            replicas: match resolved.replicas {
                0 => declared_replicas(&shown.settings),
                replicas => replicas,
            },
            global_batch: resolved.global_batch,
            threads_per_core: resolved.threads_per_core,
            outcomes: count_outcomes(&fresh),
            stale: stale.len(),
            retaken: retaken.len(),
            reasons: reasons(&fresh),
            lost: lost(&fresh),
            marks,
            figures: Figures::of(&repeats),
        }
    }

    /// The value of an axis or a setting, as text.
    pub fn value(&self, key: &str) -> Option<&str> {
        let value = self.axis_labels.get(key).or(self.settings.get(key));
        value.map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Repeats that ended with `outcome`.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.get(&outcome).copied().unwrap_or(0)
    }

    /// Whether its replicas live on GPUs.
    pub fn is_on_gpus(&self) -> bool {
        self.device_kind.parse() == Ok(DeviceKind::Cuda)
    }

    /// What people call one of its devices.
    pub fn device(&self) -> &'static str {
        match self.is_on_gpus() {
            true => "GPU",
            false => "device",
        }
    }

    /// Whether a chart draws the cell hollow.
    pub fn is_marked(&self) -> bool {
        !self.marks.is_empty()
    }
}

/// Repeats of a cell are numbered as they are measured; of equal numbers the later row is newer.
fn newest_first<'a>(rows: &[&'a RepeatRow]) -> Vec<&'a RepeatRow> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| row.key.repeat);
    rows.reverse();
    rows
}

fn is_measured(row: &RepeatRow) -> bool {
    row.outcome == Outcome::Completed && row.measured.is_some()
}

/// The replicas that a cell asks for, where nothing resolved them.
fn declared_replicas(settings: &BTreeMap<String, String>) -> u32 {
    let number = |key: &str| settings.get(key).and_then(|text| text.parse::<u32>().ok());
    number("devices.per_worker").unwrap_or(1) * number("cluster.workers").unwrap_or(1)
}

fn count_outcomes(rows: &[&RepeatRow]) -> BTreeMap<Outcome, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.outcome).or_default() += 1;
    }
    counts
}

/// Outcome and first line of the reason.
fn reason(row: &RepeatRow) -> (Outcome, String) {
    let first_line = row.reason.lines().next().unwrap_or_default();
    (row.outcome, first_line.to_string())
}

fn reasons(newest_first: &[&RepeatRow]) -> Vec<(Outcome, String)> {
    let mut reasons = Vec::new();
    let wrong = |row: &&&RepeatRow| row.outcome != Outcome::Completed;
    for row in newest_first.iter().filter(wrong) {
        let reason = reason(row);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// What became of the blocks without a measured repeat. A skip is recorded in no block.
fn lost(newest_first: &[&RepeatRow]) -> Vec<(Outcome, String)> {
    let tried = |row: &&&RepeatRow| row.outcome != Outcome::Skipped;
    let mut settled: BTreeSet<u32> = newest_first
        .iter()
        .filter(|row| is_measured(row))
        .map(|row| row.block)
        .collect();
    let newest = newest_first.iter().filter(tried);
    let newest = newest.filter(|row| settled.insert(row.block));
    newest.map(|row| reason(row)).collect()
}

impl Figures {
    fn of(rows: &[&RepeatRow]) -> Option<Figures> {
        let repeat = |row: &&RepeatRow| {
            Some(Repeat {
                block: row.block,
                build: row.build(),
                measured: row.measured.clone()?,
                ceilings: row.ceilings,
            })
        };
        let repeats: Vec<_> = rows.iter().filter_map(repeat).collect();
        (!repeats.is_empty()).then_some(Figures { repeats })
    }

    pub fn n(&self) -> usize {
        self.repeats.len()
    }

    /// Examples per second over all replicas.
    pub fn throughput(&self) -> Estimate {
        self.estimate(|m| m.throughput_examples_per_second)
    }

    /// Throughput by block, for paired comparison.
    pub fn throughput_by_block(&self) -> Vec<InBlock> {
        self.by_block(|m| m.throughput_examples_per_second)
    }

    /// Seconds a step of some phases together, by block, for paired comparison.
    pub fn seconds_by_block(&self, phases: &[Phase]) -> Vec<InBlock> {
        self.by_block(|m| phases.iter().map(|p| m.phase_seconds[*p as usize]).sum())
    }

    /// Any figure by block, for paired comparison.
    pub fn by_block(&self, figure: impl Fn(&Measured) -> f64) -> Vec<InBlock> {
        let value = |repeat: &Repeat| InBlock {
            block: repeat.block,
            build: repeat.build,
            value: figure(&repeat.measured),
        };
        self.repeats.iter().map(value).collect()
    }

    /// Median step of each repeat, in seconds.
    pub fn step_seconds(&self) -> Estimate {
        self.estimate(|m| m.step_seconds_median)
    }

    /// Time of all measured steps of a repeat, in seconds.
    pub fn elapsed_seconds(&self) -> Estimate {
        self.estimate(|m| m.elapsed_seconds)
    }

    /// The estimate of any figure of a repeat.
    pub fn estimate(&self, figure: impl Fn(&Measured) -> f64) -> Estimate {
        Estimate::of(&self.values(figure)).expect("figures are of at least one repeat")
    }

    /// The estimate of a figure that repeats may lack; none where all do.
    pub fn optional(&self, figure: impl Fn(&Repeat) -> Option<f64>) -> Option<Estimate> {
        Estimate::of(&self.repeats.iter().filter_map(figure).collect::<Vec<_>>())
    }

    /// Lowest and highest repeat.
    pub fn range(&self, figure: impl Fn(&Measured) -> f64) -> (f64, f64) {
        ends(&self.values(figure))
    }

    /// Lowest and highest of the repeats that have a figure.
    pub fn optional_range(&self, figure: impl Fn(&Repeat) -> Option<f64>) -> (f64, f64) {
        ends(&self.repeats.iter().filter_map(figure).collect::<Vec<_>>())
    }

    /// Seconds a step of each phase, then of what is left over; means over repeats, so that they
    /// sum to the mean step.
    pub fn phase_seconds(&self) -> [f64; Phase::COUNT + 1] {
        let n = self.repeats.len() as f64;
        let mut sums = [0.0; Phase::COUNT + 1];
        for Repeat { measured, .. } in &self.repeats {
            for (sum, seconds) in sums.iter_mut().zip(measured.phase_seconds) {
                *sum += seconds / n;
            }
            sums[Phase::COUNT] += measured.other_seconds / n;
        }
        sums
    }

    /// The share of a step, from 0 to 1, that some phases take together.
    pub fn share(&self, phases: &[Phase]) -> Estimate {
        self.estimate(|m| {
            let seconds: f64 = phases.iter().map(|p| m.phase_seconds[*p as usize]).sum();
            let step = m.phase_seconds.iter().sum::<f64>() + m.other_seconds;
            if step > 0.0 { seconds / step } else { 0.0 }
        })
    }

    fn values(&self, figure: impl Fn(&Measured) -> f64) -> Vec<f64> {
        let repeats = self.repeats.iter();
        repeats.map(|repeat| figure(&repeat.measured)).collect()
    }
}

fn ends(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (low, high)
}

#[cfg(test)]
mod tests;
