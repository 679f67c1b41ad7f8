//! In: one TOML file with its layers. Out: an [`Experiment`], checked, in which every setting knows
//! where its value came from; or every problem at once. Knows no machine and runs nothing.

pub mod settings;

use crate::terms::ChartKind;
use settings::{SettingId, Value};
use std::path::PathBuf;

/// One experiment file after all layers are merged and checked, before its sweep is expanded.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Also the name of its folders: `[a-z0-9_-]`, no path.
    pub name: String,
    pub question: String,
    /// The file it was read from.
    pub path: PathBuf,
    /// The value of every setting outside the sweep, by [`SettingId`], with its source.
    pub base: Vec<Declared>,
    pub axes: Vec<Axis>,
    pub cases: Vec<Case>,
    pub excludes: Vec<Vec<(Selector, Value)>>,
    pub charts: Vec<ChartSpec>,
    pub flavours: Vec<Flavour>,
    /// True where `-S` or the environment changed a setting: results then go to `variants/<hash>`.
    pub overridden: bool,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    pub value: Option<Value>,
    pub source: Source,
}

/// The layer that set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    File { path: PathBuf, line: usize },
    Environment(String),
    Flag(String),
}

/// One varied setting, or several settings zipped into rows.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The key of a plain axis; the `name` of a zip. A CSV column.
    pub name: String,
    pub settings: Vec<SettingId>,
    /// One row per axis value; as long as `settings`.
    pub rows: Vec<Vec<Value>>,
    /// One per row: the zip's `labels`, or the value itself.
    pub labels: Vec<String>,
    pub source: Source,
}

/// A single cell beside the product of the axes.
#[derive(Clone, Debug)]
pub struct Case {
    pub label: String,
    pub settings: Vec<(SettingId, Value)>,
    pub source: Source,
}

/// What `[[exclude]]` and `baseline` match on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    Setting(SettingId),
    /// The label of a zip axis, by its name.
    Label(String),
}

/// One `[[chart]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartSpec {
    pub kind: ChartKind,
    /// `replicas`, an axis name or a setting's key.
    pub x: String,
    /// An axis name or a setting's key; none draws one series.
    pub series: Option<String>,
    /// Pairs that pick the baseline cell of a series; empty means fewest replicas.
    pub baseline: Vec<(Selector, Value)>,
}

/// One `[flavours.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Flavour {
    pub name: String,
    /// A program that is already built. Nothing else can be run by this version.
    pub binary: Option<PathBuf>,
    /// Every declared key and value in key order, for the identity of cells.
    pub definition: Vec<(String, String)>,
}
