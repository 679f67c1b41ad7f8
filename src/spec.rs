//! In: one TOML file with its layers. Out: an [`Experiment`], checked, in which every setting knows
//! where its value came from; or every problem at once. Knows no machine and runs nothing.

mod chart;
mod check;
mod compare;
mod document;
mod error;
mod file;
mod flavour;
mod layers;
mod overrides;
mod pick;
pub mod settings;
mod sweep;
mod value;
mod write;

pub(crate) use error::{Place, Problem, Report, nearest};
pub(crate) use value::from_text;
pub(crate) use write::to_toml;

pub use error::{SpecErrors, Texts};

use crate::terms::ChartKind;
use settings::{SettingId, Value};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

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
    pub comparisons: Vec<CompareSpec>,
    pub flavours: Vec<Flavour>,
    /// True where `-S` or the environment changed a setting: results then go to `variants/<hash>`.
    pub overridden: bool,
    pub origin: Origin,
}

/// Where the parts of an experiment stand in its texts, so that later checks can point there too.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub(crate) texts: Texts,
    /// One per setting.
    pub(crate) base: Vec<Option<Place>>,
    /// One per setting of each axis.
    pub(crate) axes: Vec<Vec<Place>>,
    /// The beginning of each case, then one per setting.
    pub(crate) cases: Vec<Vec<Place>>,
    pub(crate) excludes: Vec<Place>,
    pub(crate) charts: Vec<Place>,
    /// Comparisons that the files declare, and of which flags or the environment leave no cell.
    pub(crate) moot: Vec<CompareSpec>,
    /// What flags and the environment change: `key=value` for each setting or axis.
    pub(crate) changes: Vec<String>,
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

/// What `[[exclude]]`, `baseline` and `where` match on.
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

/// One `[[compare]]`: the cells of one value with those of each other value, all else being equal.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareSpec {
    /// An axis name or a setting's key.
    pub over: String,
    /// One of its values or labels, as text: what all others are compared with.
    pub base: String,
    /// Pairs that hold for both cells of each comparison.
    pub only: Vec<(Selector, Value)>,
}

/// One `[flavours.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Flavour {
    pub name: String,
    /// A program that is already built; without one the flavour is built by cargo.
    pub binary: Option<PathBuf>,
    /// Every declared key and value in key order, for the identity of cells.
    pub definition: Vec<(String, String)>,
}

/// Reads an experiment file with everything that it extends; then the environment's `XRUN_` names
/// and the `KEY=VALUE` texts of `-S` flags on top of it.
///
/// # Errors
///
/// Every problem of every layer at once. Problems of single cells are found by
/// [`plan::read`](crate::plan::read), which calls this.
pub fn load(
    path: &Path,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[String],
) -> Result<Experiment, SpecErrors> {
    let mut report = Report::default();
    let Some(files) = file::read(path, &mut report) else {
        return Err(report.into_errors());
    };
    let environment = overrides::environment(environment, &mut report);
    let flags = overrides::flags(flags, &mut report);
    let layers = layers::Layers::new(files, environment, flags);
    let experiment = check::experiment(path, &layers, &mut report);
    if report.is_empty() {
        return Ok(experiment);
    }
    let sound = !report.doubtful;
    Err(report
        .into_errors()
        .with_partial(sound.then_some(experiment)))
}

/// Reads the text of a resolved file, as [`Experiment::to_toml`] writes it: it has no layers.
///
/// # Errors
///
/// Every problem of it at once.
pub fn resolved(path: &Path, text: &str) -> Result<Experiment, SpecErrors> {
    let mut report = Report::default();
    let file = document::parse(path, text, &mut report);
    let layers = layers::Layers::new(vec![file], Default::default(), Default::default());
    let experiment = check::experiment(path, &layers, &mut report);
    match report.is_empty() {
        true => Ok(experiment),
        false => Err(report.into_errors()),
    }
}

impl Experiment {
    /// The value of a setting outside the sweep; its default where the file does not say.
    pub fn value(&self, id: SettingId) -> Option<Value> {
        let declared: Vec<_> = self.base.iter().map(|d| d.value.clone()).collect();
        let model = settings::Choice::of(&declared).model;
        declared[id.index()]
            .clone()
            .or_else(|| (id.setting().default)(model))
    }

    /// Fresh launches of each cell.
    pub fn repeats(&self) -> u32 {
        let repeats = self
            .value(SettingId::REPEATS)
            .and_then(|value| value.integer());
        u32::try_from(repeats.unwrap_or(1)).unwrap_or(u32::MAX)
    }

    /// A short name for what flags and the environment change: the same changes have the same name.
    /// None where they change nothing.
    pub fn variant(&self) -> Option<String> {
        let digest = Sha256::digest(self.origin.changes.join("\n"));
        let name = digest[..4].iter().map(|byte| format!("{byte:02x}"));
        self.overridden.then(|| name.collect())
    }

    /// The seed of the order of cells.
    pub fn seed(&self) -> u64 {
        let seed = self
            .value(SettingId::SEED)
            .and_then(|value| value.integer());
        seed.expect("the seed has a default")
    }
}

impl Source {
    /// Whether it is a layer above the files.
    pub fn overrides(&self) -> bool {
        matches!(self, Source::Environment(_) | Source::Flag(_))
    }
}

impl std::fmt::Display for Source {
    /// `default`, `cifar.toml:12`, `XRUN_MEASURE__STEPS`, `-S measure.steps=1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Environment(name) => f.write_str(name),
            Source::Flag(flag) => write!(f, "-S {flag}"),
        }
    }
}
