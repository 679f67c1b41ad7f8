//! The one list of settings. It makes the keys of the file, of `-S` and of the environment, the CSV
//! columns, the documentation and the identity of a cell.

use crate::terms::*;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Index of a setting in the list of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SettingId(pub u8);

/// One value of one setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    Integer(u64),
    Number(f64),
    /// A word of a closed set.
    Word(&'static str),
    /// A name, a path.
    Text(Arc<str>),
    /// Layer widths.
    Integers(Arc<[u64]>),
    Duration(Duration),
}

impl fmt::Display for Value {
    /// As it stands in a CSV field: `[256, 4096]` for a list, seconds with a unit for a duration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Number(value) => write!(f, "{value}"),
            Value::Word(word) => f.write_str(word),
            Value::Text(text) => f.write_str(text),
            Value::Integers(values) => write!(f, "{values:?}"),
            Value::Duration(duration) => write!(f, "{}s", duration.as_secs_f64()),
        }
    }
}

/// The settings of one cell, typed. A setting that does not apply to the cell has its default here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(rename = "model.name")]
    pub model: ModelName,
    /// Examples a step for each replica. The plan divides a global batch before it gets here.
    #[serde(rename = "model.local_batch")]
    pub local_batch: usize,
    /// Widths of an `mlp`, input and output included.
    #[serde(rename = "model.layers")]
    pub layers: Vec<usize>,
    #[serde(rename = "model.optimizer")]
    pub optimizer: OptimizerName,
    #[serde(rename = "model.learning_rate")]
    pub learning_rate: f64,
    #[serde(rename = "model.convolution")]
    pub convolution: Convolution,

    #[serde(rename = "input.source")]
    pub input_source: InputSource,
    #[serde(rename = "input.directory")]
    pub input_directory: String,
    #[serde(rename = "input.placement")]
    pub input_placement: Placement,
    #[serde(rename = "input.device_pipeline")]
    pub device_pipeline: DevicePipeline,
    #[serde(rename = "input.pipelines")]
    pub pipelines: Pipelines,
    /// Threads of each host pipeline.
    #[serde(rename = "input.threads")]
    pub input_threads: usize,
    /// Examples that must be in the shuffle buffer before one is taken.
    #[serde(rename = "input.shuffle_buffer")]
    pub shuffle_buffer: usize,

    #[serde(rename = "devices.kind")]
    pub device_kind: DeviceKind,
    #[serde(rename = "devices.per_worker")]
    pub devices_per_worker: usize,
    /// Cores of one CPU device.
    #[serde(rename = "devices.threads")]
    pub device_threads: usize,
    #[serde(rename = "devices.oversubscribe")]
    pub oversubscribe: bool,
    #[serde(rename = "devices.share_devices")]
    pub share_devices: bool,
    #[serde(rename = "devices.parameters")]
    pub parameters: Placement,

    #[serde(rename = "cluster.topology")]
    pub topology: Topology,
    #[serde(rename = "cluster.workers")]
    pub workers: usize,
    #[serde(rename = "cluster.servers")]
    pub servers: usize,

    #[serde(rename = "measure.warmup_steps")]
    pub warmup_steps: u64,
    #[serde(rename = "measure.steps")]
    pub steps: u64,
    #[serde(rename = "measure.seed")]
    pub seed: u64,
    /// Bound on one repeat, from launch to the end of its last process.
    #[serde(rename = "measure.timeout")]
    pub timeout: Duration,
}
