//! Throughput over replicas, with the ideal line and what the input pipelines alone deliver.

use crate::analysis::scaling::Series;
use crate::analysis::{CellSummary, Convention, Estimate, Figures, Story, View, noise};
use crate::chart::{Band, Content, Dash, Figure, Guide, LineSeries, Panel, Point, XAxis, caption};
use crate::table::Measured;
use crate::units::Throughput;

/// A ceiling that is more times higher than all points would press them to the ground: it is noted below.
const IN_SIGHT: f64 = 2.0;

/// The figure of `throughput_examples_per_second`.
pub fn figure(view: &View, story: &Story) -> Figure {
    let series = lines(view, |m| m.throughput_examples_per_second);
    let points = series.iter().flat_map(|series| &series.points);
    let sight = IN_SIGHT * points.map(|point| point.high).fold(0.0, f64::max);
    let (near, far): (Vec<_>, Vec<_>) = ceilings(view)
        .into_iter()
        .partition(|guide| level(guide) <= sight);
    let guides = ideal(view).into_iter().chain(near).collect();
    let mut notes: Vec<String> = far.iter().map(far_note).collect();
    notes.extend(caption::notes(view));
    Figure {
        title: format!("{}: throughput over {}", story.name, view.x_label()),
        subtitle: caption::subtitle(view, story),
        panels: vec![Panel {
            x_label: x_label(view),
            y_label: "examples per second, all replicas".into(),
            x: x_axis(view),
            content: Content::Lines {
                series,
                guides,
                band: noise_band(view, |m| m.throughput_examples_per_second),
            },
        }],
        notes,
    }
}

/// The lowest value of a guide.
fn level(guide: &Guide) -> f64 {
    guide
        .points
        .iter()
        .map(|point| point.1)
        .fold(f64::INFINITY, f64::min)
}

fn far_note(guide: &Guide) -> String {
    let level = Throughput(level(guide));
    format!("above the chart: {}, {level}", guide.name)
}

/// What is not told from the median of a figure of the cell that has a twin.
pub fn noise_band(view: &View, figure: impl Fn(&Measured) -> f64 + Copy) -> Option<Band> {
    Band::of_figure(noise::floor_of(view.summary, figure), |floor| {
        let figures = floor.original.figures.as_ref()?;
        Some(figures.estimate(figure).median)
    })
}

/// One line a series, of the median of a figure of each repeat.
pub fn lines(view: &View, figure: impl Fn(&Measured) -> f64 + Copy) -> Vec<LineSeries> {
    lines_of(view, |_, cell| {
        let figures = cell.figures.as_ref()?;
        Some((figures.estimate(figure), figures.range(figure)))
    })
}

/// One line a series, of any estimate of a cell with its range.
pub fn lines_of(
    view: &View,
    figure: impl Fn(&Series, &CellSummary) -> Option<(Estimate, (f64, f64))>,
) -> Vec<LineSeries> {
    let line = |series: &Series| {
        let points = series.measured().filter_map(|place| {
            let (estimate, range) = figure(series, place.cell)?;
            let (low, high) = caption::ends(view, &estimate, range);
            Some(Point {
                x: place.x,
                y: estimate.median,
                low,
                high,
                hollow: place.cell.is_marked(),
            })
        });
        LineSeries {
            name: series.name.clone(),
            points: points.collect(),
        }
    };
    let lines = view.series.iter().map(line);
    lines.filter(|line| !line.points.is_empty()).collect()
}

/// Every place along the horizontal axis that a completed cell has.
pub fn x_axis(view: &View) -> XAxis {
    if let Some(words) = &view.categories {
        return XAxis::Words(words.clone());
    }
    let mut places: Vec<f64> = view
        .series
        .iter()
        .flat_map(|series| series.measured().map(|point| point.x))
        .collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    XAxis::Numbers(places)
}

/// `replicas (local batch fixed)`: the convention belongs to the axis.
pub fn x_label(view: &View) -> String {
    match (view.x.as_str(), view.convention) {
        ("replicas", Convention::Weak) => "replicas (weak scaling: local batch fixed)".into(),
        ("replicas", Convention::Strong) => "replicas (strong scaling: global batch fixed)".into(),
        _ => view.x_label(),
    }
}

/// Linear growth from the baseline with the highest throughput for a replica.
fn ideal(view: &View) -> Option<Guide> {
    let XAxis::Numbers(places) = x_axis(view) else {
        return None;
    };
    if view.x != "replicas" || places.len() < 2 {
        return None;
    }
    let per_replica = |figures: &Figures, cell: &CellSummary| {
        figures.throughput().median / f64::from(cell.replicas)
    };
    let best = view.series.iter().filter_map(|series| {
        let cell = series.baseline?;
        Some((series, per_replica(cell.figures.as_ref()?, cell)))
    });
    let (series, rate) = best.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let name = match view.series.len() {
        1 => "ideal".to_string(),
        _ => format!("ideal for {}", series.title()),
    };
    let points = places.iter().map(|x| (*x, x * rate)).collect();
    Some(Guide::dashed(&name, points))
}

/// One dotted line for each input that the null model was measured behind.
fn ceilings(view: &View) -> Vec<Guide> {
    let mut guides: Vec<Guide> = Vec::new();
    for cell in &view.pipelines {
        let (Some(figures), Some(x)) = (&cell.figures, view.place(cell)) else {
            continue;
        };
        let point = (x, figures.throughput().median);
        let name = ceiling_name(cell);
        match guides.iter_mut().find(|guide| guide.name == name) {
            Some(guide) => guide.points.push(point),
            None => guides.push(Guide {
                name,
                dash: Dash::Dotted,
                ideal: false,
                points: vec![point],
            }),
        }
    }
    for guide in &mut guides {
        guide.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Replicas share the host, so that one measurement of its pipeline bounds them all; each device
        // has a pipeline of its own, which bounds nothing elsewhere.
        if let ([(_, level)], true) = (&guide.points[..], guide.name.ends_with("host")) {
            guide.points = across(view, *level);
        }
    }
    guides
}

/// A level over all places.
pub fn across(view: &View, level: f64) -> Vec<(f64, f64)> {
    match x_axis(view) {
        XAxis::Numbers(places) => places.iter().map(|x| (*x, level)).collect(),
        XAxis::Words(words) => (0..words.len()).map(|i| (i as f64, level)).collect(),
    }
}

fn ceiling_name(cell: &CellSummary) -> String {
    match cell.value("input.placement") {
        Some(placement) => format!("pipeline alone, input on {placement}"),
        None => "pipeline alone".to_string(),
    }
}
