//! Why a series ends where it ends: cores or GPUs that more replicas would have to share, cells that could not
//! be measured.

use crate::analysis::bottleneck::{Cause, crowded, replicas, shares_gpus};
use crate::analysis::scaling::{Series, SeriesPoint};
use crate::analysis::speedup::speedup;
use crate::analysis::summary::CellSummary;
use crate::analysis::wording::{list, times_as_much};
use crate::terms::Outcome;

/// Whether cores or GPUs are scarce, and what replicas beyond them bring, where such cells were measured.
pub fn device_limit(series: &Series, cell: &CellSummary) -> Option<(Cause, String)> {
    let last = series
        .measured()
        .filter(|point| crowded(point.cell) && point.cell.replicas > cell.replicas)
        .max_by_key(|point| point.cell.replicas)?;
    let gain = speedup(last.cell, cell)?.ratio;
    let high = gain.high?;
    let all = f64::from(last.cell.replicas) / f64::from(cell.replicas);
    let (scarce, how) = match shares_gpus(last.cell) {
        true => (Cause::Gpus, "GPUs are shared"),
        false => (Cause::Cores, "the cores are oversubscribed"),
    };
    (high < 0.5 * (1.0 + all)).then(|| {
        let clause = format!(
            "beyond {} {how}: {} deliver {}",
            replicas(cell),
            replicas(last.cell),
            times_as_much(&gain)
        );
        (scarce, clause)
    })
}

/// Names the cells with more replicas that have no figures: for each outcome the newest reason of the
/// first of them.
pub fn absent(series: &Series, cell: &CellSummary) -> Option<String> {
    let mut missing: Vec<(Outcome, &str, Vec<String>)> = Vec::new();
    let more = |point: &&SeriesPoint| point.cell.replicas > cell.replicas;
    for point in series.points.iter().filter(more) {
        let (None, Some((outcome, reason))) = (&point.cell.figures, point.cell.reasons.first())
        else {
            continue;
        };
        let replicas = point.cell.replicas.to_string();
        match missing.iter_mut().find(|(known, ..)| known == outcome) {
            Some((.., counts)) => counts.push(replicas),
            None => missing.push((*outcome, reason, vec![replicas])),
        }
    }
    let clauses: Vec<String> = missing.iter().map(absent_clause).collect();
    (!clauses.is_empty()).then(|| clauses.join("; "))
}

fn absent_clause((outcome, reason, counts): &(Outcome, &str, Vec<String>)) -> String {
    let verb = match outcome {
        Outcome::Skipped => "not measured",
        _ => "without figures",
    };
    format!("{} replicas {verb} ({outcome}: {reason})", list(counts))
}
