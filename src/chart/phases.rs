//! Where a step goes: one stacked bar for each cell, grouped by series.

use crate::analysis::scaling::Series;
use crate::analysis::{Story, View};
use crate::chart::scaling::{x_axis, x_label};
use crate::chart::{Content, Figure, Palette, Panel, Stack, XAxis, caption};
use crate::terms::Phase;
use strum::VariantArray;

/// The figure of phase times, in milliseconds a step.
pub fn figure(view: &View, story: &Story) -> Figure {
    let x = x_axis(view);
    let stacks = view
        .series
        .iter()
        .flat_map(|series| stacks(series, &x))
        .collect();
    let names = Phase::VARIANTS
        .iter()
        .map(|phase| phase.to_string().replace('-', " "));
    let parts = names.chain(["other".to_string()]).collect();
    let counts = caption::counts(view);
    Figure {
        title: format!("{}: where a step goes", story.name),
        subtitle: match story.machine.is_empty() {
            true => format!("{counts} · mean over replicas and repeats"),
            false => format!(
                "{} · {counts} · mean over replicas and repeats",
                story.machine
            ),
        },
        panels: vec![Panel {
            x_label: x_label(view),
            y_label: "milliseconds per step".into(),
            x,
            content: Content::Bars {
                parts,
                palette: Palette::Phases,
                stacks,
            },
        }],
        notes: caption::notes(view),
    }
}

fn stacks(series: &Series, x: &XAxis) -> Vec<Stack> {
    let bar = |point: crate::analysis::scaling::SeriesPoint| {
        let seconds = point.cell.figures.as_ref()?.phase_seconds();
        Some(Stack {
            group: series.name.clone(),
            label: x.label(point.x),
            parts: seconds.map(|seconds| seconds * 1e3).to_vec(),
            ends: None,
            hollow: point.cell.is_marked(),
        })
    };
    series.measured().filter_map(bar).collect()
}

impl XAxis {
    /// The text of a tick.
    pub fn label(&self, x: f64) -> String {
        match self {
            XAxis::Numbers(_) => crate::chart::ticks::plain(x),
            XAxis::Words(words) => words.get(x as usize).cloned().unwrap_or_default(),
        }
    }
}
