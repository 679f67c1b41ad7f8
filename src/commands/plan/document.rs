//! The JSON form of a plan: one document with every cell, for programs. Cells are written one by one,
//! so that a large plan is never in memory twice.

use super::PlanView;
use crate::plan::{Cell, Values};
use crate::spec::settings::{SettingId, Value};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// The whole plan for programs.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    experiment: &'a str,
    question: &'a str,
    repeats: u32,
    seed: u64,
    merged: usize,
    excluded: usize,
    estimate: &'a str,
    /// Values outside the sweep.
    settings: BTreeMap<&'a str, Origin>,
    axes: Vec<AxisDocument<'a>>,
    cells: Cells<'a>,
    /// Places in `cells`.
    first_block: Vec<usize>,
}

#[derive(Serialize)]
struct Origin {
    value: Value,
    source: String,
}

#[derive(Serialize)]
struct AxisDocument<'a> {
    name: &'a str,
    settings: Vec<&'static str>,
    labels: &'a [String],
    source: String,
}

/// All cells, in the order of the file.
struct Cells<'a>(PlanView<'a>);

impl Serialize for Cells<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let cells = self.0.plan.cells.iter().enumerate();
        serializer.collect_seq(cells.map(|(index, cell)| CellDocument::new(&self.0, index, cell)))
    }
}

#[derive(Serialize)]
struct CellDocument<'a> {
    id: &'a str,
    label: &'a str,
    /// The id of the cell that this one is the A/A twin of.
    #[serde(skip_serializing_if = "Option::is_none")]
    twin_of: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'a str>,
    #[serde(serialize_with = "by_key")]
    settings: &'a Values,
}

impl<'a> CellDocument<'a> {
    fn new(view: &'a PlanView, index: usize, cell: &'a Cell) -> Self {
        Self {
            id: &cell.id.0,
            label: &cell.label,
            twin_of: cell.twin_of.as_ref().map(|id| id.0.as_str()),
            skipped: view.reason(index),
            settings: &cell.values,
        }
    }
}

fn by_key<S: Serializer>(values: &Values, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|(id, value)| (id.key(), value)))
}

impl PlanView<'_> {
    pub(super) fn document(&self) -> Document<'_> {
        let settings = SettingId::all().filter_map(|id| {
            let source = self.experiment.base[id.index()].source.to_string();
            let value = self.experiment.value(id)?;
            Some((id.key(), Origin { value, source }))
        });
        let axes = self.experiment.axes.iter().map(|axis| AxisDocument {
            name: &axis.name,
            settings: axis.settings.iter().map(|id| id.key()).collect(),
            labels: &axis.labels,
            source: axis.source.to_string(),
        });
        Document {
            experiment: &self.experiment.name,
            question: self.experiment.question.trim(),
            repeats: self.experiment.repeats(),
            seed: self.plan.seed,
            merged: self.plan.merged,
            excluded: self.plan.excluded,
            estimate: self.estimate,
            settings: settings.collect(),
            axes: axes.collect(),
            cells: Cells(*self),
            first_block: self.order.to_vec(),
        }
    }
}
