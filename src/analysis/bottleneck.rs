//! In: a [`View`]. Out: one sentence a series that says what bounds it, and one headline.
//! Evidence is the shares of the phases and the companions of a cell; where their intervals do not
//! support a finding, the sentence says so instead.

mod against_single;
mod diagnosis;
mod evidence;
mod exchange;
mod headline;
mod launches;
mod limits;
mod loss;

use crate::analysis::scaling::{Series, View};
use crate::analysis::summary::CellSummary;
use crate::terms::Mark;
use crate::units::counted;
use std::fmt;

pub use evidence::Part;

/// What bounds the throughput of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Replicas wait for the input pipeline on the host.
    Input,
    /// Input operations on the training device.
    Distortion,
    Exchange,
    /// The host, which puts work on a GPU's queue for nearly the whole step.
    Launches,
    /// Forward and backward pass and update.
    Compute,
    /// Forward and backward pass, slowed by input work on the same cores.
    Contention,
    /// There are no cores for more replicas.
    Cores,
    /// There are no GPUs for more replicas.
    Gpus,
    /// Several parts of the step, none of them dominant.
    Mixed,
    /// The repeats are too few, or scatter too much.
    Undecided,
    /// The cells that would tell are not here.
    Unknown,
}

/// Why one series is as fast as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub series: String,
    pub cause: Cause,
    /// Repeats that it rests on.
    pub n: usize,
    /// One sentence, with every number and its n.
    pub sentence: String,
}

/// The answer of one experiment on one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub headline: String,
    /// One per series of models that train.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Input => "input-bound",
            Cause::Distortion => "distort-bound",
            Cause::Exchange => "exchange-bound",
            Cause::Launches => "launch-bound",
            Cause::Compute => "compute-bound",
            Cause::Contention => "input takes cores from training",
            Cause::Cores => "core-limited",
            Cause::Gpus => "GPU-limited",
            Cause::Mixed => "no single cause",
            Cause::Undecided => "cannot decide",
            Cause::Unknown => "cannot tell from these cells",
        })
    }
}

/// Explains every series of `view`.
pub fn explain(view: &View) -> Explanation {
    let findings: Vec<_> = view
        .series
        .iter()
        .map(|series| judge(view, series))
        .collect();
    Explanation {
        headline: headline::headline(view, &findings),
        findings,
    }
}

fn judge(view: &View, series: &Series) -> Finding {
    let Some((cell, n)) = decisive(series) else {
        return unmeasured(series);
    };
    let (cause, because) = diagnosis::diagnose(view, series, cell);
    let limit = limits::device_limit(series, cell);
    let cause = match &limit {
        // A replica that computes all the time needs a device for another one. What it waits for does not.
        Some((scarce, _)) if cause == Cause::Compute => *scarce,
        _ => cause,
    };
    let clauses = [
        Some(because),
        against_single::clause(view, cell),
        loss::scaling_clause(view, series, cell),
        limit.map(|(_, clause)| clause),
        limits::absent(series, cell),
    ];
    let clauses: Vec<String> = clauses.into_iter().flatten().collect();
    Finding {
        series: series.title().to_string(),
        cause,
        n,
        sentence: format!(
            "{}: {}: {}.",
            series.title(),
            lead(cause, n),
            clauses.join("; ")
        ),
    }
}

/// How a sentence opens; a doubt is never said without its n.
fn lead(cause: Cause, n: usize) -> String {
    match cause {
        Cause::Undecided => format!("{cause} with n = {n}"),
        _ => cause.to_string(),
    }
}

/// The cell that a series is judged by, with its n: the most replicas that have devices of their own.
fn decisive<'a>(series: &Series<'a>) -> Option<(&'a CellSummary, usize)> {
    series
        .measured()
        .max_by_key(|point| (!crowded(point.cell), point.cell.replicas))
        .and_then(|point| Some((point.cell, point.cell.figures.as_ref()?.n())))
}

/// Whether the cell has fewer cores than threads, or fewer GPUs than replicas.
fn crowded(cell: &CellSummary) -> bool {
    cell.marks.contains_key(&Mark::Oversubscribed) || shares_gpus(cell)
}

fn shares_gpus(cell: &CellSummary) -> bool {
    cell.marks.contains_key(&Mark::SharedDevice)
}

fn unmeasured(series: &Series) -> Finding {
    let reasons = series.points.iter().flat_map(|point| &point.cell.reasons);
    let why = match reasons.into_iter().next() {
        Some((outcome, reason)) => format!("every cell is without figures ({outcome}: {reason})"),
        None => "no cell has figures".to_string(),
    };
    Finding {
        series: series.title().to_string(),
        cause: Cause::Unknown,
        n: 0,
        sentence: format!("{}: {}: {why}.", series.title(), Cause::Unknown),
    }
}

fn replicas(cell: &CellSummary) -> String {
    counted(u64::from(cell.replicas), "replica")
}

#[cfg(test)]
mod tests;
