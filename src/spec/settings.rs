//! The one list of settings. It makes the keys of the file, of `-S` and of the environment, the CSV
//! columns, the documentation and the identity of a cell.

mod defaults;
mod kind;
mod list;
mod rules;
mod tensors;
mod typed;

pub use kind::Kind;
pub(crate) use kind::{one_of, words};
pub use list::SETTINGS;
pub use rules::{Choice, Rule, resolve};
pub use tensors::{parameter_bytes, tensors};

use crate::terms::*;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One line of the list of settings.
#[derive(Debug)]
pub struct Setting {
    /// As in the file: `devices.per_worker`.
    pub key: &'static str,
    pub kind: Kind,
    /// What a cell of this model has where the file does not say; none where there is no default.
    pub default: fn(ModelName) -> Option<Value>,
    /// Which cells have this setting.
    pub rule: Rule,
    pub role: Role,
    /// What its number counts, for labels: `device`.
    pub noun: Option<&'static str>,
    /// One line for people.
    pub about: &'static str,
}

/// What a setting is to a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Part of what is measured, and so of the cell's identity.
    Identity,
    /// Bounds a repeat without changing what it measures.
    Bound,
    /// The same for all cells of an experiment; cannot be swept.
    Campaign,
}

/// Index of a setting in [`SETTINGS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SettingId(pub u8);

impl SettingId {
    pub const MODEL: Self = Self::known("model.name");
    pub const LOCAL_BATCH: Self = Self::known("model.local_batch");
    pub const GLOBAL_BATCH: Self = Self::known("model.global_batch");
    pub const LAYERS: Self = Self::known("model.layers");
    pub const CHANNELS: Self = Self::known("model.channels");
    pub const IMAGE_SIZE: Self = Self::known("model.image_size");
    pub const CONVOLUTION: Self = Self::known("model.convolution");
    pub const SOURCE: Self = Self::known("input.source");
    pub const PLACEMENT: Self = Self::known("input.placement");
    pub const DEVICE_PIPELINE: Self = Self::known("input.device_pipeline");
    pub const KIND: Self = Self::known("devices.kind");
    pub const PER_WORKER: Self = Self::known("devices.per_worker");
    pub const TOPOLOGY: Self = Self::known("cluster.topology");
    pub const WORKERS: Self = Self::known("cluster.workers");
    pub const SERVERS: Self = Self::known("cluster.servers");
    pub const UPDATE: Self = Self::known("cluster.update");
    pub const BACKUP_WORKERS: Self = Self::known("cluster.backup_workers");
    pub const SHARDS: Self = Self::known("cluster.shards");
    pub const TRANSPORT: Self = Self::known("cluster.transport");
    pub const FLAVOUR: Self = Self::known("build.flavour");
    pub const WARMUP: Self = Self::known("measure.warmup_steps");
    pub const REPEATS: Self = Self::known("measure.repeats");
    pub const SEED: Self = Self::known("measure.seed");
    pub const AA: Self = Self::known("measure.aa");
    pub const BUILDS: Self = Self::known("measure.builds");
    pub const STOP: Self = Self::known("measure.stop_at_global_step");

    /// The setting with this key; does not compile where there is none.
    const fn known(key: &str) -> Self {
        let mut index = 0;
        while index < SETTINGS.len() {
            if same(SETTINGS[index].key.as_bytes(), key.as_bytes()) {
                return Self(index as u8);
            }
            index += 1;
        }
        panic!("no setting has this key")
    }

    /// The setting with this key.
    pub fn of(key: &str) -> Option<Self> {
        let index = SETTINGS.iter().position(|setting| setting.key == key)?;
        Some(Self(index as u8))
    }

    /// Every setting in the order of the list.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SETTINGS.len()).map(|index| Self(index as u8))
    }

    pub fn index(self) -> usize {
        self.0.into()
    }

    pub fn setting(self) -> &'static Setting {
        &SETTINGS[self.index()]
    }

    pub fn key(self) -> &'static str {
        self.setting().key
    }
}

impl Setting {
    /// A value of this setting as people say it: `2 devices`, `placement host`.
    pub fn say(&self, value: &Value) -> String {
        let leaf = self.key.rsplit('.').next().unwrap_or(self.key);
        match (self.noun, value) {
            (Some(noun), Value::Integer(1)) => format!("1 {noun}"),
            (Some(noun), value) => format!("{value} {noun}s"),
            (None, Value::Word(word)) if self.key == SettingId::MODEL.key() => (*word).into(),
            (None, value) => format!("{} {value}", leaf.replace('_', " ")),
        }
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

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
    /// Layer widths or channels.
    Integers(Arc<[u64]>),
    Duration(Duration),
}

impl Value {
    /// The number of a whole number.
    pub fn integer(&self) -> Option<u64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }
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

impl Serialize for Value {
    /// Numbers, truth values and lists as such, all else as its text.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_u64(*value),
            Value::Number(value) => serializer.serialize_f64(*value),
            Value::Integers(values) => serializer.collect_seq(values.iter()),
            Value::Word(_) | Value::Text(_) | Value::Duration(_) => serializer.collect_str(self),
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
    /// Channels of each level of the encoder of `sat-seq2seq`.
    #[serde(rename = "model.channels")]
    pub channels: Vec<usize>,
    /// Height and width of a frame.
    #[serde(rename = "model.image_size")]
    pub image_size: usize,
    /// Frames of a sequence that are seen.
    #[serde(rename = "model.frames")]
    pub frames: usize,
    #[serde(rename = "model.predicted_frames")]
    pub predicted_frames: usize,
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
    /// Whether GPUs that processes of others use may be used.
    #[serde(rename = "devices.allow_occupied")]
    pub allow_occupied: bool,
    #[serde(rename = "devices.parameters")]
    pub parameters: Placement,
    /// Whether the step is captured in a CUDA graph, where nothing forbids it.
    #[serde(rename = "devices.cuda_graph")]
    pub cuda_graph: bool,
    /// Whether a GPU may round the factors of products to TF32.
    #[serde(rename = "devices.tf32")]
    pub tf32: bool,

    #[serde(rename = "cluster.topology")]
    pub topology: Topology,
    #[serde(rename = "cluster.workers")]
    pub workers: usize,
    #[serde(rename = "cluster.servers")]
    pub servers: usize,
    /// Cores of one server.
    #[serde(rename = "cluster.server_threads")]
    pub server_threads: usize,
    #[serde(rename = "cluster.update")]
    pub update: Update,
    #[serde(rename = "cluster.backup_workers")]
    pub backup_workers: usize,
    #[serde(rename = "cluster.consistency")]
    pub consistency: Consistency,
    #[serde(rename = "cluster.shards")]
    pub shards: Shards,
    #[serde(rename = "cluster.transport")]
    pub transport: Transport,
    #[serde(rename = "cluster.encoding")]
    pub encoding: Encoding,
    /// Whether gradients leave while the backward pass goes on.
    #[serde(rename = "cluster.overlap")]
    pub overlap: bool,

    #[serde(rename = "measure.warmup_steps")]
    pub warmup_steps: u64,
    #[serde(rename = "measure.steps")]
    pub steps: u64,
    #[serde(rename = "measure.seed")]
    pub seed: u64,
    /// Bound on one repeat, from launch to the end of its last process.
    #[serde(rename = "measure.timeout")]
    pub timeout: Duration,
    /// Updates over all workers, warm-up included, after which no step begins.
    #[serde(rename = "measure.stop_at_global_step")]
    pub stop_at_global_step: Option<u64>,
    /// Updates between two checkpoints.
    #[serde(rename = "measure.checkpoint_every")]
    pub checkpoint_every: Option<u64>,
}
