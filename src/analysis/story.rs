//! What an experiment file says beside its rows: question, axes with their labels, charts,
//! comparisons.
//! All names are text here, as they stand in the columns of the rows.

use crate::analysis::cluster::is_cluster;
use crate::analysis::summary::{CellSummary, Summary};
use crate::plan::Cell;
use crate::spec::settings::{SettingId, Value};
use crate::spec::{Axis, ChartSpec, CompareSpec, Experiment, Selector};
use crate::table::RepeatRow;
use crate::terms::ChartKind;
use std::collections::HashMap;
use strum::VariantArray;

/// The words of one experiment on one machine, as charts and sentences need them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    pub name: String,
    pub question: String,
    /// Slug of the hardware.
    pub machine: String,
    pub axes: Vec<AxisStory>,
    /// Labels of the single cells beside the product of the axes.
    pub cases: Vec<String>,
    /// As the file names them; empty asks for the default charts.
    pub charts: Vec<ChartStory>,
    /// As the file declares them, decided together.
    pub comparisons: Vec<ComparisonStory>,
}

/// One axis of the sweep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AxisStory {
    /// The key of a plain axis; the name of a zip.
    pub name: String,
    /// Keys of the settings that it varies.
    pub settings: Vec<String>,
    /// In declared order: the labels of a zip, or the values as text.
    pub labels: Vec<String>,
}

/// One chart, with keys and values as text.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartStory {
    pub kind: ChartKind,
    /// `replicas`, an axis name or a setting's key.
    pub x: String,
    pub series: Option<String>,
    /// Setting keys or axis names with the value that picks the baseline.
    pub baseline: Vec<(String, String)>,
}

/// One comparison: the cells of one value with those of each other value, all else being equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComparisonStory {
    /// An axis name or a setting's key.
    pub over: String,
    /// The value or label that all others are compared with.
    pub base: String,
    /// Setting keys or axis names with the value that both cells have.
    pub only: Vec<(String, String)>,
}

/// Settings that make the number of replicas.
const REPLICA_KEYS: [&str; 2] = ["devices.per_worker", "cluster.workers"];

impl AxisStory {
    /// Whether a chart over `x` already shows this axis along its horizontal axis.
    pub fn carries(&self, x: &str) -> bool {
        let has = |key: &str| self.name == key || self.settings.iter().any(|s| s == key);
        has(x) || (x == "replicas" && REPLICA_KEYS.iter().any(|key| has(key)))
    }

    /// The cell's value along this axis, as text; none for a case beside a zip.
    pub fn value_of<'a>(&self, cell: &'a CellSummary) -> Option<&'a str> {
        cell.value(&self.name)
    }

    /// Place of a value in the declared order; unknown values come last.
    pub fn rank(&self, value: &str) -> usize {
        self.labels
            .iter()
            .position(|label| label == value)
            .unwrap_or(self.labels.len())
    }
}

/// Keeps the rows of cells that a file has, under the labels that it gives them now.
pub fn name_as_planned(rows: &mut Vec<RepeatRow>, cells: &[Cell]) {
    let cells: HashMap<&str, &Cell> = cells
        .iter()
        .map(|cell| (cell.id.0.as_str(), cell))
        .collect();
    rows.retain_mut(|row| match cells.get(row.key.cell.as_str()) {
        Some(cell) => {
            row.label.clone_from(&cell.label);
            row.axis_labels = cell.axis_labels.iter().cloned().collect();
            true
        }
        None => false,
    });
}

impl Story {
    /// The words of an experiment that was measured on `machine`; `key` names a setting.
    pub fn of(experiment: &Experiment, machine: &str, key: impl Fn(SettingId) -> String) -> Story {
        let axis = |axis: &Axis| AxisStory {
            name: axis.name.clone(),
            settings: axis.settings.iter().map(|id| key(*id)).collect(),
            labels: axis.labels.clone(),
        };
        let selected = |(selector, value): &(Selector, Value)| match selector {
            Selector::Setting(id) => (key(*id), value.to_string()),
            Selector::Label(name) => (name.clone(), value.to_string()),
        };
        let chart = |chart: &ChartSpec| ChartStory {
            kind: chart.kind,
            x: chart.x.clone(),
            series: chart.series.clone(),
            baseline: chart.baseline.iter().map(selected).collect(),
        };
        let comparison = |compare: &CompareSpec| ComparisonStory {
            over: compare.over.clone(),
            base: compare.base.clone(),
            only: compare.only.iter().map(selected).collect(),
        };
        Story {
            name: experiment.name.clone(),
            question: experiment.question.clone(),
            machine: machine.to_string(),
            axes: experiment.axes.iter().map(axis).collect(),
            cases: experiment
                .cases
                .iter()
                .map(|case| case.label.clone())
                .collect(),
            charts: experiment.charts.iter().map(chart).collect(),
            comparisons: experiment.comparisons.iter().map(comparison).collect(),
        }
    }

    pub fn axis(&self, name: &str) -> Option<&AxisStory> {
        self.axes.iter().find(|axis| axis.name == name)
    }

    /// The charts that the file names, or the default ones: everything over replicas where they
    /// vary, else over the first axis, along which efficiency means nothing. Steps and exchange belong to
    /// cells whose processes exchange.
    pub fn charts(&self, summary: &Summary) -> Vec<ChartStory> {
        if !self.charts.is_empty() {
            return self.charts.clone();
        }
        let exchanges = summary.cells.iter().any(is_cluster);
        let shown = |chart: &ChartStory| match chart.kind {
            ChartKind::Efficiency => chart.x == "replicas",
            ChartKind::Steps | ChartKind::Exchange => exchanges,
            _ => true,
        };
        let kinds = ChartKind::VARIANTS.iter();
        kinds
            .map(|kind| self.default_chart(*kind))
            .filter(shown)
            .collect()
    }

    /// The chart whose series and baselines the table and the sentences use.
    pub fn leading_chart(&self) -> ChartStory {
        let over_throughput = |chart: &&ChartStory| chart.kind != ChartKind::Phases;
        self.charts
            .iter()
            .find(over_throughput)
            .or(self.charts.first())
            .cloned()
            .unwrap_or_else(|| self.default_chart(ChartKind::Scaling))
    }

    fn default_chart(&self, kind: ChartKind) -> ChartStory {
        let varies = |axis: &&AxisStory| axis.carries("replicas");
        let x = match (self.axes.iter().find(varies), self.axes.first()) {
            (None, Some(axis)) => axis.name.clone(),
            _ => "replicas".to_string(),
        };
        let mut rest = self.axes.iter().filter(|axis| !axis.carries(&x));
        let is_zip = |axis: &&AxisStory| axis.settings != [axis.name.clone()];
        let series = rest.clone().find(is_zip).or(rest.next());
        ChartStory {
            kind,
            series: series.map(|axis| axis.name.clone()),
            x,
            baseline: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample_cluster::{ClusterBuilder, cluster_story};

    fn axis(name: &str, settings: &[&str]) -> AxisStory {
        AxisStory {
            name: name.into(),
            settings: settings.iter().map(|s| s.to_string()).collect(),
            labels: Vec::new(),
        }
    }

    #[test]
    fn default_charts_run_over_replicas_with_the_zip_as_series() {
        let story = Story {
            axes: vec![
                axis("devices.threads", &["devices.threads"]),
                axis("input", &["input.source", "input.placement"]),
                axis("devices.per_worker", &["devices.per_worker"]),
            ],
            ..Story::default()
        };
        let charts = story.charts(&Summary::default());
        let chart = &charts[0];
        assert_eq!(chart.x, "replicas");
        assert_eq!(chart.series.as_deref(), Some("input"));
        assert_eq!(charts.len(), 5);
    }

    #[test]
    fn without_replicas_the_first_axis_is_the_horizontal_one() {
        let story = Story {
            axes: vec![axis("input.threads", &["input.threads"])],
            ..Story::default()
        };
        let charts = story.charts(&Summary::default());
        let chart = &charts[0];
        assert_eq!((chart.x.as_str(), &chart.series), ("input.threads", &None));
        let efficiency = |chart: &ChartStory| chart.kind == ChartKind::Efficiency;
        assert!(!charts.iter().any(efficiency));
    }

    #[test]
    fn cells_that_exchange_between_processes_have_two_charts_more() {
        let of = |rows| Summary::of(&ClusterBuilder::repeats(rows, 1));
        let kinds = |summary: &Summary| {
            let charts = cluster_story().charts(summary);
            charts.iter().map(|chart| chart.kind).collect::<Vec<_>>()
        };
        let cluster = kinds(&of(ClusterBuilder::seed(1)));
        assert_eq!(cluster[5..], [ChartKind::Steps, ChartKind::Exchange]);
        assert_eq!(kinds(&of(ClusterBuilder::single(1.0))).len(), 5);
    }
}
