//! The one answer of an experiment: its fastest cell against one device, and what bounds whom.

use crate::analysis::bottleneck::{Cause, Finding, lead};
use crate::analysis::scaling::View;
use crate::analysis::summary::CellSummary;
use crate::analysis::wording::{list, rate, times_as_much};
use std::collections::BTreeMap;

/// The answer in one sentence.
pub fn headline(view: &View, findings: &[Finding]) -> String {
    let companions = view.companions();
    let Some((fastest, figures)) = companions
        .fastest()
        .and_then(|cell| Some((cell, cell.figures.as_ref()?)))
    else {
        return without_training(view);
    };
    let top = format!(
        "highest throughput: {} with {}",
        fastest.label,
        rate(&figures.throughput())
    );
    let single = companions
        .best_single()
        .filter(|single| single.cell != fastest.cell);
    let times = single.and_then(|single| {
        let times = times_as_much(&crate::analysis::speedup(fastest, single)?.ratio);
        Some(format!(
            ", against the best single {} ({}) {times}",
            single.device(),
            single.label
        ))
    });
    let times = times.unwrap_or_default();
    format!("{top}{times}{}; {}.", ties(view, fastest), causes(findings))
}

/// Names the cells that the fastest one cannot be told from.
fn ties(view: &View, fastest: &CellSummary) -> String {
    let reaches = |other: &CellSummary| {
        let ratio = crate::analysis::speedup(fastest, other).map(|s| s.ratio);
        ratio.is_some_and(|ratio| ratio.low.is_some_and(|low| low <= 1.0))
    };
    let trains = view.series.iter().flat_map(|series| series.measured());
    let ties: Vec<String> = trains
        .filter(|point| point.cell.cell != fastest.cell && reaches(point.cell))
        .map(|point| point.cell.label.clone())
        .collect();
    match ties.is_empty() {
        true => String::new(),
        false => format!(", not to be told from {}", list(&ties)),
    }
}

/// Where only pipelines were measured, or nothing at all.
fn without_training(view: &View) -> String {
    let rates = view.summary.originals().filter_map(|cell| {
        let figures = cell.figures.as_ref()?;
        Some((figures.throughput(), &cell.label))
    });
    match rates.max_by(|a, b| a.0.median.total_cmp(&b.0.median)) {
        Some((throughput, label)) => {
            format!(
                "no cell trains a model; the highest throughput is that of {label} with {}.",
                rate(&throughput)
            )
        }
        None => "no cell was completed, so there is no answer.".to_string(),
    }
}

/// `input-bound: a and b; compute-bound: c`.
fn causes(findings: &[Finding]) -> String {
    let mut by_cause: BTreeMap<(Cause, String), Vec<String>> = BTreeMap::new();
    for finding in findings {
        let key = (finding.cause, lead(finding.cause, finding.n));
        by_cause
            .entry(key)
            .or_default()
            .push(finding.series.clone());
    }
    let parts: Vec<String> = by_cause
        .iter()
        .map(|((_, lead), series)| format!("{lead}: {}", list(series)))
        .collect();
    parts.join("; ")
}
