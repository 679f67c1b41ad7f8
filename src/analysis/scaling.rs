//! In: a [`Summary`] and one chart of the [`Story`]. Out: a [`View`]: series of cells along one
//! horizontal axis, with baselines and ceilings. Charts, table and sentences all speak of one view.

use crate::analysis::companions::{Companions, is};
use crate::analysis::speedup::{Speedup, speedup};
use crate::analysis::story::{AxisStory, ChartStory, Story};
use crate::analysis::summary::{CellSummary, Summary};
use std::collections::BTreeSet;

/// The cells of a summary, arranged for one chart.
#[derive(Clone, Debug)]
pub struct View<'a> {
    pub summary: &'a Summary,
    pub x: String,
    /// Words of the horizontal axis where its values are no numbers; `x` of a point is an index here.
    pub categories: Option<Vec<String>>,
    pub series: Vec<Series<'a>>,
    /// Null-model cells beside models that train: what their input pipelines deliver.
    pub pipelines: Vec<&'a CellSummary>,
    pub convention: Convention,
}

/// Cells that differ along the horizontal axis only.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// Empty where the chart has one series without a name.
    pub name: String,
    /// In rising order of `x`; cells without a completed repeat included.
    pub points: Vec<SeriesPoint<'a>>,
    /// What speedups of this series refer to.
    pub baseline: Option<&'a CellSummary>,
}

/// One cell and its place along the horizontal axis.
#[derive(Clone, Copy, Debug)]
pub struct SeriesPoint<'a> {
    pub x: f64,
    pub cell: &'a CellSummary,
}

/// What stays fixed when replicas are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// The local batch: more replicas, more work a step.
    Weak,
    /// The global batch: more replicas, less work for each.
    Strong,
}

/// Cells with a fixed local batch and cells with a fixed global batch cannot share a chart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cells of weak and of strong scaling cannot share a chart: `{weak}` fixes the local batch, \
     `{strong}` the global batch; declare them in two experiments"
)]
pub struct MixedConventions {
    pub weak: String,
    pub strong: String,
}

/// Arranges the cells of `summary` for `chart`.
pub fn arrange<'a>(
    summary: &'a Summary,
    story: &Story,
    chart: &ChartStory,
) -> Result<View<'a>, MixedConventions> {
    let trains = |cell: &&CellSummary| !is(cell, "model.name", "none");
    let mixed = summary.originals().any(|cell| trains(&cell));
    let (cells, pipelines): (Vec<_>, Vec<_>) =
        summary.originals().partition(|cell| trains(cell) || !mixed);
    let categories = categories(&cells, story, &chart.x);
    let mut view = View {
        summary,
        x: chart.x.clone(),
        series: Vec::new(),
        pipelines,
        convention: convention(&cells)?,
        categories,
    };
    for (name, members) in grouped(&cells, story, chart) {
        let points = view.points(&members);
        if points.is_empty() {
            continue; // None of them has a place along this axis.
        }
        let baseline = baseline(&points, &cells, chart);
        view.series.push(Series {
            name,
            points,
            baseline,
        });
    }
    Ok(view)
}

fn convention(cells: &[&CellSummary]) -> Result<Convention, MixedConventions> {
    let is_strong = |cell: &&&CellSummary| cell.value("model.global_batch").is_some();
    let strong = cells.iter().find(is_strong);
    let weak = cells.iter().find(|cell| !is_strong(cell));
    match (weak, strong) {
        (Some(weak), Some(strong)) => Err(MixedConventions {
            weak: weak.label.clone(),
            strong: strong.label.clone(),
        }),
        (_, Some(_)) => Ok(Convention::Strong),
        _ => Ok(Convention::Weak),
    }
}

/// The words along `x`, in declared order; none where all values are numbers.
fn categories(cells: &[&CellSummary], story: &Story, x: &str) -> Option<Vec<String>> {
    let values: BTreeSet<&str> = cells.iter().filter_map(|cell| cell.value(x)).collect();
    if x == "replicas" || values.iter().all(|value| value.parse::<f64>().is_ok()) {
        return None;
    }
    let mut words: Vec<String> = values.into_iter().map(String::from).collect();
    if let Some(axis) = story.axis(x) {
        words.sort_by_key(|word| axis.rank(word));
    }
    Some(words)
}

/// Cells by series name, in declared order of the series' values; cases last.
fn grouped<'a>(
    cells: &[&'a CellSummary],
    story: &Story,
    chart: &ChartStory,
) -> Vec<(String, Vec<&'a CellSummary>)> {
    let rest: Vec<&AxisStory> = story
        .axes
        .iter()
        .filter(|axis| chart.series.as_deref() != Some(&axis.name) && !axis.carries(&chart.x))
        .filter(|axis| varies(cells, axis))
        .collect();
    let mut groups: Vec<(Vec<usize>, String, Vec<&'a CellSummary>)> = Vec::new();
    for cell in cells {
        let (rank, name) = series_name(cell, story, chart, &rest);
        match groups.iter_mut().find(|(_, known, _)| *known == name) {
            Some((_, _, members)) => members.push(cell),
            None => groups.push((rank, name, vec![cell])),
        }
    }
    groups.sort_by(|a, b| a.0.cmp(&b.0));
    groups
        .into_iter()
        .map(|(_, name, members)| (name, members))
        .collect()
}

fn varies(cells: &[&CellSummary], axis: &AxisStory) -> bool {
    let values: BTreeSet<_> = cells
        .iter()
        .filter_map(|cell| axis.value_of(cell))
        .collect();
    values.len() > 1
}

/// The series of a cell: its value of the chart's series, then of all axes that nothing else shows.
fn series_name(
    cell: &CellSummary,
    story: &Story,
    chart: &ChartStory,
    rest: &[&AxisStory],
) -> (Vec<usize>, String) {
    let series = chart.series.as_deref();
    let zip = series
        .and_then(|name| story.axis(name))
        .filter(|axis| is_zip(axis));
    let outside_zip = zip.is_some_and(|axis| axis.value_of(cell).is_none());
    if story.cases.contains(&cell.label) || outside_zip {
        return (vec![usize::MAX], cell.label.clone());
    }
    let known = series.map(|name| match story.axis(name) {
        Some(axis) => axis.clone(),
        None => AxisStory {
            name: name.to_string(),
            settings: vec![name.to_string()],
            labels: Vec::new(),
        },
    });
    let parts = known.iter().chain(rest.iter().copied()).filter_map(|axis| {
        let value = axis.value_of(cell)?;
        Some((axis.rank(value), spoken(axis, value)))
    });
    let (ranks, words): (Vec<usize>, Vec<String>) = parts.unzip();
    (ranks, words.join(", "))
}

fn is_zip(axis: &AxisStory) -> bool {
    axis.settings != [axis.name.clone()]
}

/// A zip's label stands alone; a plain value needs the last word of its key: `threads 2`.
pub(super) fn spoken(axis: &AxisStory, value: &str) -> String {
    let key = axis
        .name
        .rsplit('.')
        .next()
        .unwrap_or(&axis.name)
        .replace('_', " ");
    match is_zip(axis) || key == "name" {
        true => value.to_string(),
        false => format!("{key} {value}"),
    }
}

/// The cell that speedups refer to: what the chart names, in this series or else anywhere; by
/// default the completed cell with the fewest replicas, of the first `x`.
fn baseline<'a>(
    points: &[SeriesPoint<'a>],
    cells: &[&'a CellSummary],
    chart: &ChartStory,
) -> Option<&'a CellSummary> {
    let measured = |cell: &&CellSummary| cell.figures.is_some();
    let own = points.iter().map(|point| point.cell).filter(measured);
    if chart.baseline.is_empty() {
        return own.min_by_key(|cell| cell.replicas);
    }
    let named = |cell: &&CellSummary| {
        let agrees = |(key, value): &(String, String)| is(cell, key, value);
        chart.baseline.iter().all(agrees)
    };
    let anywhere = cells.iter().copied().filter(measured);
    own.chain(anywhere).find(named)
}

impl<'a> View<'a> {
    fn points(&self, members: &[&'a CellSummary]) -> Vec<SeriesPoint<'a>> {
        let place = |cell: &'a CellSummary| {
            Some(SeriesPoint {
                x: self.place(cell)?,
                cell,
            })
        };
        let mut points: Vec<_> = members.iter().filter_map(|cell| place(cell)).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        points
    }

    /// Where a cell stands along the horizontal axis.
    pub fn place(&self, cell: &CellSummary) -> Option<f64> {
        if self.x == "replicas" {
            return Some(f64::from(cell.replicas));
        }
        let Some(value) = cell.value(&self.x) else {
            // Only where processes may be several does a cell say how many: one process is one worker.
            return (self.x == "cluster.workers" && self.categories.is_none()).then_some(1.0);
        };
        match &self.categories {
            None => value.parse().ok(),
            Some(words) => words
                .iter()
                .position(|word| word == value)
                .map(|i| i as f64),
        }
    }

    /// `replicas`, or the axis without its underscores.
    pub fn x_label(&self) -> String {
        self.x.replace('_', " ")
    }

    /// All cells, series by series along the horizontal axis, then pipelines, what has no place, and
    /// the A/A twin.
    pub fn cells(&self) -> Vec<&'a CellSummary> {
        let placed = self.series.iter().flat_map(|series| &series.points);
        let mut cells: Vec<_> = placed.map(|point| point.cell).collect();
        let known: BTreeSet<&str> = cells.iter().map(|cell| cell.cell.as_str()).collect();
        let rest = self.summary.cells.iter();
        let rest: Vec<_> = rest
            .filter(|cell| !known.contains(cell.cell.as_str()))
            .collect();
        cells.extend(rest);
        cells
    }

    /// What the speedup of a cell refers to; none for cells that are in no series.
    pub fn baseline(&self, cell: &CellSummary) -> Option<&'a CellSummary> {
        let holds = |series: &&Series| series.points.iter().any(|p| p.cell.cell == cell.cell);
        self.series.iter().find(holds)?.baseline
    }

    /// Speedup of a cell over the baseline of its series.
    pub fn speedup(&self, cell: &CellSummary) -> Option<Speedup> {
        speedup(cell, self.baseline(cell)?)
    }

    pub fn companions(&self) -> Companions<'a> {
        Companions(self.summary)
    }
}

impl<'a> Series<'a> {
    /// Points with at least one completed repeat.
    pub fn measured(&self) -> impl Iterator<Item = SeriesPoint<'a>> + '_ {
        self.points
            .iter()
            .copied()
            .filter(|point| point.cell.figures.is_some())
    }

    /// Speedup of a cell over the baseline of the series.
    pub fn speedup(&self, cell: &CellSummary) -> Option<Speedup> {
        speedup(cell, self.baseline?)
    }

    /// The name, or `all cells` for the one series without.
    pub fn title(&self) -> &str {
        if self.name.is_empty() {
            "all cells"
        } else {
            &self.name
        }
    }
}

#[cfg(test)]
mod tests;
