//! In: a [`View`]. Out: one sentence a series that says what bounds it, and one headline.
//! Evidence is the shares of the phases and the companions of a cell; where their intervals do not
//! support a verdict, the sentence says so instead.

mod evidence;
mod headline;
mod loss;

use crate::analysis::scaling::{Series, View};
use crate::analysis::summary::{CellSummary, Figures};
use crate::analysis::wording::{count, list, percent, rate, ratio};
use crate::terms::{Mark, Outcome};
use evidence::{Part, Reading};
use std::fmt;

/// What bounds the throughput of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Replicas wait for the input pipeline on the host.
    Input,
    /// Input operations on the training device.
    Distortion,
    Exchange,
    /// Forward and backward pass and update.
    Compute,
    /// There are no cores for more replicas.
    Cores,
    /// Several parts of the step, none of them dominant.
    Mixed,
    /// The repeats are too few, or scatter too much.
    Undecided,
    /// The cells that would tell are not here.
    Unknown,
}

/// Why one series is as fast as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub series: String,
    pub cause: Cause,
    /// One sentence, with every number and its n.
    pub sentence: String,
}

/// The answer of one experiment on one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub headline: String,
    /// One per series of models that train.
    pub verdicts: Vec<Verdict>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Input => "input-bound",
            Cause::Distortion => "distort-bound",
            Cause::Exchange => "exchange-bound",
            Cause::Compute => "compute-bound",
            Cause::Cores => "core-limited",
            Cause::Mixed => "no single cause",
            Cause::Undecided => "cannot decide",
            Cause::Unknown => "cannot tell from these cells",
        })
    }
}

/// Explains every series of `view`.
pub fn explain(view: &View) -> Explanation {
    let verdicts: Vec<_> = view.series.iter().map(|series| judge(view, series)).collect();
    Explanation {
        headline: headline::headline(view, &verdicts),
        verdicts,
    }
}

fn judge(view: &View, series: &Series) -> Verdict {
    let Some((cell, n)) = decisive(series) else {
        return unmeasured(series);
    };
    let (cause, because) = diagnose(view, series, cell);
    let (cause, limit) = match core_limit(series, cell) {
        Some(limit) => (Cause::Cores, Some(limit)),
        None => (cause, None),
    };
    let clauses = [
        Some(format!("with {} {because}", replicas(cell))),
        loss::scaling_clause(view, series, cell),
        limit,
        absent(series, cell),
    ];
    let clauses: Vec<String> = clauses.into_iter().flatten().collect();
    Verdict {
        series: series.title().to_string(),
        cause,
        sentence: format!("{}: {}: {}.", series.title(), lead(cause, n), clauses.join("; ")),
    }
}

/// How a sentence opens; a doubt is never said without its n.
fn lead(cause: Cause, n: usize) -> String {
    match cause {
        Cause::Undecided => format!("{cause} with n = {n}"),
        _ => cause.to_string(),
    }
}

/// The cell that a series is judged by, with its n: the most replicas that have cores of their own.
fn decisive<'a>(series: &Series<'a>) -> Option<(&'a CellSummary, usize)> {
    let crowded = |cell: &CellSummary| cell.marks.contains_key(&Mark::Oversubscribed);
    series
        .measured()
        .max_by_key(|point| (!crowded(point.cell), point.cell.replicas))
        .and_then(|point| Some((point.cell, point.cell.figures.as_ref()?.n())))
}

fn unmeasured(series: &Series) -> Verdict {
    let reasons = series.points.iter().flat_map(|point| &point.cell.reasons);
    let why = match reasons.into_iter().next() {
        Some((outcome, reason)) => format!("every cell is without figures ({outcome}: {reason})"),
        None => "no cell has figures".to_string(),
    };
    Verdict {
        series: series.title().to_string(),
        cause: Cause::Unknown,
        sentence: format!("{}: {}: {why}.", series.title(), Cause::Unknown),
    }
}

/// What bounds one cell, and the clause that says so.
fn diagnose(view: &View, series: &Series, cell: &CellSummary) -> (Cause, String) {
    let Some(figures) = &cell.figures else {
        return (Cause::Unknown, "nothing was measured".to_string());
    };
    match evidence::read(figures) {
        Reading::NoPhases => {
            let because = "no phases recorded: add a cell that reports its phases";
            (Cause::Unknown, because.to_string())
        }
        Reading::TooFew => (Cause::Undecided, too_few(figures)),
        Reading::Straddles(part) => (Cause::Undecided, straddles(part, figures)),
        Reading::Dominant(Part::Input) => input_bound(view, cell, figures),
        Reading::Dominant(Part::Distortion) => {
            let host = host_clause(view, series, cell);
            (Cause::Distortion, format!("{}; {host}", distorts(figures)))
        }
        Reading::Dominant(Part::Exchange) => exchange_bound(figures),
        Reading::Dominant(Part::Compute) => compute_bound(view, cell, figures),
        Reading::Spread => (Cause::Mixed, format!("{} of the step", evidence::shares(figures))),
    }
}

fn too_few(figures: &Figures) -> String {
    let shares = evidence::shares(figures);
    let told = rate(&figures.throughput());
    format!("{told}, {shares} of the step so far: measure at least 6 repeats")
}

fn straddles(part: Part, figures: &Figures) -> String {
    let share = percent(&figures.share(part.phases()));
    let (n, noun, bound) = (figures.n(), part.noun(), part.threshold() * 100.0);
    format!("{share} of the step in {noun} (n = {n}), an interval on both sides of {bound:.0} %: measure more repeats")
}

fn input_bound(view: &View, cell: &CellSummary, figures: &Figures) -> (Cause, String) {
    let wait = percent(&figures.share(Part::Input.phases()));
    let full = figures.throughput();
    let Some((pipeline, alone)) = with_figures(view.companions().pipeline_only(cell)) else {
        let full = rate(&full);
        let because = format!(
            "{full}, replicas wait {wait} of the step; what the pipeline alone delivers cannot be \
             told from these cells: add a case with model.name = \"none\""
        );
        return (Cause::Input, because);
    };
    let alone = alone.throughput();
    let both = format!(
        "the pipeline alone{} delivers {}, the full cell {}, replicas wait {wait} of the step",
        with_replicas(pipeline, cell),
        rate(&alone),
        rate(&full)
    );
    let because = match full.median >= 0.75 * alone.median {
        true => both,
        false => format!("{both}, since beside training the pipeline shares {}", cores(cell)),
    };
    (Cause::Input, because)
}

/// With how many replicas the pipeline was measured, where that is not the number of `cell`.
fn with_replicas(pipeline: &CellSummary, cell: &CellSummary) -> String {
    match pipeline.replicas == cell.replicas {
        true => String::new(),
        false => format!(" (measured with {})", replicas(pipeline)),
    }
}

fn cores(cell: &CellSummary) -> String {
    match cell.threads_per_core > 1.0 {
        true => format!("the cores ({:.1} threads a core)", cell.threads_per_core),
        false => "the host".to_string(),
    }
}

fn distorts(figures: &Figures) -> String {
    let share = percent(&figures.share(Part::Distortion.phases()));
    let told = rate(&figures.throughput());
    format!("{told}, {share} of the step is distortion on the training device")
}

/// What the host does with the same input, at as many replicas and at the fewest.
fn host_clause(view: &View, series: &Series, cell: &CellSummary) -> String {
    let times = |cell: &CellSummary| {
        let host = view.companions().other_placement(cell)?;
        Some((host, crate::analysis::speedup(host, cell)?.ratio))
    };
    let Some((host, gain)) = times(cell) else {
        return "whether the host does it better cannot be told from these cells: add \
                input.placement = \"host\""
            .to_string();
    };
    let there = host.figures.as_ref().map(|figures| rate(&figures.throughput()));
    let first = series.measured().map(|point| point.cell).find(|other| other.replicas < cell.replicas);
    let at_first = first.and_then(|first| {
        let ratio = ratio(&times(first)?.1);
        Some(format!(", {ratio} times with {}", replicas(first)))
    });
    format!(
        "with input on the host {}, {} times as much{}",
        there.unwrap_or_default(),
        ratio(&gain),
        at_first.unwrap_or_default()
    )
}

fn exchange_bound(figures: &Figures) -> (Cause, String) {
    let share = percent(&figures.share(Part::Exchange.phases()));
    let bytes = figures.estimate(|m| m.exchanged_bytes as f64 / m.steps.max(1) as f64);
    let seconds = figures.phase_seconds()[crate::terms::Phase::Exchange as usize];
    let moved = match bytes.median > 0.0 {
        true => format!(
            ", {} in {}",
            crate::units::Bytes(bytes.median as u64),
            crate::units::Seconds(seconds)
        ),
        false => String::new(),
    };
    let told = rate(&figures.throughput());
    let because = format!("{told}, {share} of the step is exchange of gradients and parameters{moved}");
    (Cause::Exchange, because)
}

fn compute_bound(view: &View, cell: &CellSummary, figures: &Figures) -> (Cause, String) {
    let share = percent(&figures.share(Part::Compute.phases()));
    let told = format!(
        "{}, forward, backward and update are {share} of the step",
        rate(&figures.throughput())
    );
    if cell.value("input.source") == Some("resident") {
        return (Cause::Compute, format!("{told} and there is no input to wait for"));
    }
    let companion = view.companions().resident(cell);
    let against = companion.and_then(|other| crate::analysis::speedup(cell, other));
    let Some(against) = against else {
        let because = format!(
            "{told}; what the input costs cannot be told from these cells: add input.source = \"resident\""
        );
        return (Cause::Compute, because);
    };
    let (share, n) = (percent(&against.ratio), against.ratio.n);
    match (against.ratio.low, against.ratio.high) {
        (Some(low), _) if low >= 0.95 => {
            (Cause::Compute, format!("{told}, and it reaches {share} of the throughput without input (n = {n})"))
        }
        (_, Some(high)) if high < 0.95 => {
            let because = format!(
                "{told}, but it reaches {share} of the throughput without input (n = {n}) and waits \
                 little: input work takes cores or bandwidth from training"
            );
            (Cause::Mixed, because)
        }
        _ => (Cause::Compute, format!("{told}; against {share} without input: cannot decide with n = {n}")),
    }
}

/// Says what replicas beyond the cores bring, where such cells were measured.
fn core_limit(series: &Series, cell: &CellSummary) -> Option<String> {
    let crowded = |cell: &CellSummary| cell.marks.contains_key(&Mark::Oversubscribed);
    let last = series
        .measured()
        .filter(|point| crowded(point.cell) && point.cell.replicas > cell.replicas)
        .max_by_key(|point| point.cell.replicas)?;
    let gain = crate::analysis::speedup(last.cell, cell)?.ratio;
    let high = gain.high?;
    let all = f64::from(last.cell.replicas) / f64::from(cell.replicas);
    (high < 0.5 * (1.0 + all)).then(|| {
        format!(
            "beyond {} the cores are oversubscribed: {} deliver {} times as much (n = {})",
            replicas(cell),
            replicas(last.cell),
            ratio(&gain),
            gain.n
        )
    })
}

/// Names the cells with more replicas that have no figures, with the first reason.
fn absent(series: &Series, cell: &CellSummary) -> Option<String> {
    let missing = |point: &&_| {
        let point: &crate::analysis::scaling::SeriesPoint = point;
        point.cell.figures.is_none() && point.cell.replicas > cell.replicas
    };
    let points: Vec<_> = series.points.iter().filter(missing).collect();
    let (outcome, reason) = points.first()?.cell.reasons.first()?;
    let counts: Vec<String> = points.iter().map(|point| point.cell.replicas.to_string()).collect();
    let verb = match outcome {
        Outcome::Skipped => "not measured",
        _ => "without figures",
    };
    Some(format!("{} replicas {verb} ({outcome}: {reason})", list(&counts)))
}

fn with_figures(cell: Option<&CellSummary>) -> Option<(&CellSummary, &Figures)> {
    cell.and_then(|cell| Some((cell, cell.figures.as_ref()?)))
}

fn replicas(cell: &CellSummary) -> String {
    count(cell.replicas as usize, "replica")
}

#[cfg(test)]
mod tests;
