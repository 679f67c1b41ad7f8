//! Where the time goes that a series loses as replicas are added.

use crate::analysis::bottleneck::evidence::Part;
use crate::analysis::bottleneck::replicas;
use crate::analysis::scaling::{Convention, Series, View};
use crate::analysis::summary::{CellSummary, Figures};
use crate::analysis::wording::{percent, ratio, settled};

/// Speedup and efficiency of `cell` over the baseline of its series, and the part of the step that
/// grew most where it does not scale; none where one is no larger than the other.
pub fn scaling_clause(view: &View, series: &Series, cell: &CellSummary) -> Option<String> {
    let base = series.baseline?;
    if base.cell == cell.cell || base.replicas == cell.replicas {
        return None;
    }
    let speedup = series.speedup(cell)?;
    // As many replicas more as each has threads less are no larger: then there is nothing to scale.
    let efficiency = speedup.efficiency?;
    let told = format!(
        "speedup over {} {}, efficiency {}{}",
        replicas(base),
        ratio(&speedup.ratio),
        percent(&efficiency),
        settled(&speedup.ratio)
    );
    let falls_short = efficiency.high.is_some_and(|high| high < 0.95);
    let lost = match falls_short {
        true => lost_time(view.convention, base, cell),
        false => None,
    };
    Some(match lost {
        Some((part, share)) => format!("{told}, {:.0} % of the lost time is {part}", share * 100.0),
        None => told,
    })
}

/// The part that took most of the time beyond an ideal step, and its share of all such time.
///
/// An ideal step takes as long as the baseline's under weak scaling, and in proportion to the
/// replicas less under strong scaling.
fn lost_time(
    convention: Convention,
    base: &CellSummary,
    cell: &CellSummary,
) -> Option<(&'static str, f64)> {
    let ideal = match convention {
        Convention::Weak => 1.0,
        Convention::Strong => f64::from(base.replicas) / f64::from(cell.replicas),
    };
    let (before, after) = (base.figures.as_ref()?, cell.figures.as_ref()?);
    let growth = |part: Part| (seconds(after, part) - ideal * seconds(before, part)).max(0.0);
    let grown = Part::ALL.map(|part| (part.noun(), growth(part)));
    let rest = (unnamed(after) - ideal * unnamed(before)).max(0.0);
    let all = grown.iter().map(|(_, seconds)| seconds).sum::<f64>() + rest;
    let most = grown.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (all > 0.0 && most.1 >= 0.5 * all).then(|| (most.0, most.1 / all))
}

fn seconds(figures: &Figures, part: Part) -> f64 {
    let seconds = figures.phase_seconds();
    part.phases()
        .iter()
        .map(|phase| seconds[*phase as usize])
        .sum()
}

/// Seconds of a step outside all parts.
fn unnamed(figures: &Figures) -> f64 {
    let named: f64 = Part::ALL
        .into_iter()
        .map(|part| seconds(figures, part))
        .sum();
    figures.phase_seconds().iter().sum::<f64>() - named
}
