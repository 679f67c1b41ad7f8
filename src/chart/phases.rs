//! Where a step goes: one stacked bar for each cell, grouped by series.

use crate::analysis::scaling::Series;
use crate::analysis::{Story, View};
use crate::chart::scaling::{x_axis, x_label};
use crate::chart::{Content, Figure, Palette, Panel, Stack, XAxis, caption};
use crate::terms::Phase;
use strum::VariantArray;

/// More bars are too narrow for words below them.
const NARROW_FROM: usize = 16;

/// The figure of phase times, in milliseconds a step.
pub fn figure(view: &View, story: &Story) -> Figure {
    let x = x_axis(view);
    let groups: Vec<Vec<Stack>> = view
        .series
        .iter()
        .map(|series| stacks(series, &x))
        .collect();
    let order = order(&groups, &x);
    let stacks = groups.into_iter().flatten().collect();
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
        notes: order.into_iter().chain(caption::notes(view)).collect(),
    }
}

/// What the bars of each group are, where they are too narrow to say it themselves.
fn order(groups: &[Vec<Stack>], x: &XAxis) -> Option<String> {
    let labels = |group: &Vec<Stack>| -> Vec<String> {
        group.iter().map(|stack| stack.label.clone()).collect()
    };
    let mut groups = groups.iter().filter(|group| !group.is_empty());
    let first = groups.next()?;
    let bars = first.len() + groups.clone().map(Vec::len).sum::<usize>();
    let words = matches!(x, XAxis::Words(_)) && bars >= NARROW_FROM;
    let alike = groups.all(|group| labels(group) == labels(first));
    let named = labels(first).join(", ");
    (words && alike).then(|| format!("bars of a group, from the left: {named}"))
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
