//! Why a series ends where it ends: cores that more replicas would have to share, cells that could not
//! be measured.

use crate::analysis::bottleneck::{crowded, replicas};
use crate::analysis::scaling::{Series, SeriesPoint};
use crate::analysis::speedup::speedup;
use crate::analysis::summary::CellSummary;
use crate::analysis::wording::{list, ratio};
use crate::terms::Outcome;

/// Says what replicas beyond the cores bring, where such cells were measured.
pub fn core_limit(series: &Series, cell: &CellSummary) -> Option<String> {
    let last = series
        .measured()
        .filter(|point| crowded(point.cell) && point.cell.replicas > cell.replicas)
        .max_by_key(|point| point.cell.replicas)?;
    let gain = speedup(last.cell, cell)?.ratio;
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
pub fn absent(series: &Series, cell: &CellSummary) -> Option<String> {
    let missing = |point: &&_| {
        let point: &SeriesPoint = point;
        point.cell.figures.is_none() && point.cell.replicas > cell.replicas
    };
    let points: Vec<_> = series.points.iter().filter(missing).collect();
    let (outcome, reason) = points.first()?.cell.reasons.first()?;
    let counts: Vec<String> = points
        .iter()
        .map(|point| point.cell.replicas.to_string())
        .collect();
    let verb = match outcome {
        Outcome::Skipped => "not measured",
        _ => "without figures",
    };
    Some(format!(
        "{} replicas {verb} ({outcome}: {reason})",
        list(&counts)
    ))
}
