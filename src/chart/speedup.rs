//! Speedup, and efficiency in a picture of its own: each series over its own baseline, paired by block.

use crate::analysis::speedup::size_ratio;
use crate::analysis::{CellSummary, Series, Story, View, noise, speedup};
use crate::chart::scaling::{lines_of, x_axis, x_label};
use crate::chart::{Band, Content, Figure, Guide, Panel, XAxis, caption};
use crate::stats;
use crate::units::counted;

/// The figure of speedups.
pub fn figure(view: &View, story: &Story) -> Figure {
    let title = format!("{}: speedup over {}", story.name, view.x_label());
    one_panel(view, story, title, speedup_panel(view))
}

/// The figure of efficiencies.
pub fn efficiency_figure(view: &View, story: &Story) -> Figure {
    let title = format!("{}: efficiency over {}", story.name, view.x_label());
    one_panel(view, story, title, efficiency_panel(view))
}

fn one_panel(view: &View, story: &Story, title: String, panel: Panel) -> Figure {
    let mut notes = vec![baselines(view)];
    notes.extend(caption::notes(view));
    Figure {
        title,
        subtitle: caption::subtitle(view, story),
        panels: vec![panel],
        notes,
    }
}

fn speedup_panel(view: &View) -> Panel {
    let ideal = common_baseline(view).and_then(|base| ideal(view, |x| x / base));
    let band = Band::of_ratio(noise::floor(view.summary), 1.0);
    let label = "speedup (times the baseline)";
    panel(view, label, (ideal, band), |_, _| Some(1.0))
}

fn efficiency_panel(view: &View) -> Panel {
    let band = Band::of_ratio(noise::floor(view.summary), 100.0);
    panel(
        view,
        "efficiency (%)",
        (ideal(view, |_| 100.0), band),
        |cell, base| Some(100.0 / size_ratio(cell, base)?),
    )
}

/// The replicas of every baseline; none where they differ, since then no line is ideal for all.
fn common_baseline(view: &View) -> Option<f64> {
    let mut replicas = view
        .series
        .iter()
        .filter_map(|series| Some(series.baseline?.replicas));
    let first = replicas.next()?;
    replicas
        .all(|other| other == first)
        .then_some(f64::from(first))
}

/// A panel of speedups, each multiplied by what `scale` makes of its cell and baseline; none where that is nothing.
fn panel(
    view: &View,
    y_label: &str,
    (ideal, band): (Option<Guide>, Option<Band>),
    scale: impl Fn(&CellSummary, &CellSummary) -> Option<f64>,
) -> Panel {
    let series = lines_of(view, |series, cell| {
        let base = series.baseline?;
        let factor = scale(cell, base)?;
        let ratio = speedup(cell, base)?.ratio;
        let (low, high) = ratio_range(cell, base)?;
        Some((ratio.times(factor), (low * factor, high * factor)))
    });
    Panel {
        x_label: x_label(view),
        y_label: y_label.to_string(),
        x: x_axis(view),
        content: Content::Lines {
            series,
            guides: ideal.into_iter().collect(),
            band,
        },
    }
}

/// Lowest and highest ratio of a block.
fn ratio_range(cell: &CellSummary, base: &CellSummary) -> Option<(f64, f64)> {
    let own = cell.figures.as_ref()?.throughput_by_block();
    let other = base.figures.as_ref()?.throughput_by_block();
    let pairs = stats::pair_by_block(&own, &other);
    let ratios = pairs.iter().map(|(over, under)| over / under);
    ratios.fold(None, |ends, ratio| {
        let (low, high) = ends.unwrap_or((ratio, ratio));
        Some((ratio.min(low), ratio.max(high)))
    })
}

fn ideal(view: &View, line: impl Fn(f64) -> f64) -> Option<Guide> {
    let XAxis::Numbers(places) = x_axis(view) else {
        return None;
    };
    let scales = view.x == "replicas" && places.len() > 1;
    scales.then(|| Guide::dashed("ideal", places.iter().map(|x| (*x, line(*x))).collect()))
}

/// What speedups refer to, and the best single device.
fn baselines(view: &View) -> String {
    let within = view.x == "replicas" && view.series.iter().all(owns_baseline);
    let base = match (within, common_baseline(view)) {
        (true, Some(n)) => format!("its cell with {}", counted(n as u64, "replica")),
        (true, None) => "its cell with the fewest replicas".to_string(),
        _ => baseline_labels(view),
    };
    match view.companions().best_single() {
        Some(best) => format!(
            "baseline of each series: {base} · best single {}: {}",
            best.device(),
            best.label
        ),
        None => format!("baseline of each series: {base}"),
    }
}

/// Whether the baseline of a series is one of its own cells.
fn owns_baseline(series: &Series) -> bool {
    series.baseline.is_none_or(|base| {
        let mut own = series.points.iter().map(|point| point.cell);
        own.any(|cell| cell.cell == base.cell)
    })
}

fn baseline_labels(view: &View) -> String {
    let mut labels: Vec<&str> = Vec::new();
    for cell in view.series.iter().filter_map(|series| series.baseline) {
        if !labels.contains(&cell.label.as_str()) {
            labels.push(&cell.label);
        }
    }
    labels.join("; ")
}
