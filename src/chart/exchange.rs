//! What links between processes reach of their ceilings: for each cell a bar as high as the ceiling,
//! filled as far as bytes moved, with the range of its repeats.

use crate::analysis::cluster::{Exchange, rate};
use crate::analysis::scaling::{Series, SeriesPoint};
use crate::analysis::{Story, View, by_reason};
use crate::chart::scaling::{x_axis, x_label};
use crate::chart::{Content, Figure, Palette, Panel, Stack, XAxis, caption};

/// The figure of gigabytes a second; none where nothing crossed between processes.
pub fn figure(view: &View, story: &Story) -> Option<Figure> {
    let x = x_axis(view);
    let stacks: Vec<Stack> = view
        .series
        .iter()
        .flat_map(|series| stacks(view, series, &x))
        .collect();
    if stacks.is_empty() {
        return None;
    }
    let mut notes = without_ceiling(view);
    notes.extend(caption::notes(view));
    Some(Figure {
        title: format!("{}: exchange over {}", story.name, view.x_label()),
        subtitle: caption::subtitle(view, story),
        panels: vec![Panel {
            x_label: x_label(view),
            y_label: "GB/s of a link while bytes move, and its share of the ceiling".into(),
            x,
            content: Content::Bars {
                parts: vec!["reached".into(), "up to the ceiling".into()],
                palette: Palette::Ceiling,
                stacks,
            },
        }],
        notes,
    })
}

/// Names the cells whose bars are only as high as they reached.
fn without_ceiling(view: &View) -> Vec<String> {
    let points = view.series.iter().flat_map(|series| series.measured());
    let cells = points.map(|point| point.cell).filter(|cell| {
        let exchange = Exchange::of(cell);
        exchange.is_some_and(|exchange| exchange.rate.is_some() && exchange.ceiling.is_none())
    });
    by_reason(cells.map(|cell| ("no ceiling was measured".to_string(), cell.label.as_str())))
}

fn stacks(view: &View, series: &Series, x: &XAxis) -> Vec<Stack> {
    let bar = |point: SeriesPoint| {
        let exchange = Exchange::of(point.cell)?;
        let reached = exchange.rate?;
        let range = point.cell.figures.as_ref()?.optional_range(rate);
        let ceiling = exchange.ceiling.map_or(0.0, |ceiling| ceiling.median);
        Some(Stack {
            group: series.name.clone(),
            label: x.label(point.x),
            parts: vec![reached.median, (ceiling - reached.median).max(0.0)],
            ends: Some(caption::ends(view, &reached, range)),
            hollow: point.cell.is_marked(),
        })
    };
    series.measured().filter_map(bar).collect()
}
