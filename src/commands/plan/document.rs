//! The JSON form of a plan: one document with every cell, for programs.

use super::PlanView;
use crate::plan::Cell;
use crate::spec::settings::SettingId;
use serde::Serialize;
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
    cells: Vec<CellDocument<'a>>,
    /// Places in `cells`.
    first_block: Vec<usize>,
}

#[derive(Serialize)]
struct Origin {
    value: String,
    source: String,
}

#[derive(Serialize)]
struct AxisDocument<'a> {
    name: &'a str,
    settings: Vec<&'static str>,
    labels: &'a [String],
    source: String,
}

#[derive(Serialize)]
struct CellDocument<'a> {
    id: &'a str,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'a str>,
    settings: BTreeMap<&'a str, String>,
}

impl PlanView<'_> {
    pub(super) fn document(&self) -> Document<'_> {
        let settings = SettingId::all().filter_map(|id| {
            let source = &self.experiment.base[id.index()].source;
            let value = self.experiment.value(id)?;
            Some((
                id.key(),
                Origin {
                    value: value.to_string(),
                    source: source.to_string(),
                },
            ))
        });
        let axes = self.experiment.axes.iter().map(|axis| AxisDocument {
            name: &axis.name,
            settings: axis.settings.iter().map(|id| id.key()).collect(),
            labels: &axis.labels,
            source: axis.source.to_string(),
        });
        let cells = self.plan.cells.iter().enumerate();
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
            cells: cells.map(|(index, cell)| self.cell(index, cell)).collect(),
            first_block: self.plan.block(1),
        }
    }

    fn cell<'a>(&'a self, index: usize, cell: &'a Cell) -> CellDocument<'a> {
        let settings = cell
            .values
            .iter()
            .map(|(id, value)| (id.key(), value.to_string()));
        CellDocument {
            id: &cell.id.0,
            label: &cell.label,
            skipped: self.reason(index),
            settings: settings.collect(),
        }
    }
}
