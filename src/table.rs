//! Rows: what a repeat leaves behind. Appended and flushed one by one, and read back by header name.

use crate::terms::{Mark, Outcome, Phase};
use std::collections::BTreeMap;

/// A row's key. Numbers are never reused within a result folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub run: u32,
    pub cell: String,
    pub repeat: u32,
}

/// One fresh launch of a cell: one row of `repeats.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct RepeatRow {
    pub key: Key,
    pub block: u32,
    /// Place of the repeat within its block, from 1.
    pub position: u32,
    pub label: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    pub outcome: Outcome,
    /// Empty for a completed repeat without marks.
    pub reason: String,
    pub marks: Vec<Mark>,
    /// Labels of zip axes, by axis name.
    pub axis_labels: BTreeMap<String, String>,
    /// Every setting by key, as text; missing where it does not apply.
    pub settings: BTreeMap<String, String>,
    pub resolved: Resolved,
    pub measured: Option<Measured>,
    pub provenance: Provenance,
}

/// What the machine made of the declared settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// `cpu` or `cuda`; empty for a skipped cell.
    pub device_kind: String,
    pub replicas: u32,
    /// Examples a step, over all replicas.
    pub global_batch: u64,
    /// Logical CPUs of each replica: `0,1|2,3`.
    pub cores: String,
    /// Runnable threads for each core that the cell may use.
    pub threads_per_core: f64,
}

/// Figures of a repeat that ran to its end. Seconds are per step unless the name says otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    pub steps: u64,
    pub examples: u64,
    /// All measured steps together.
    pub elapsed_seconds: f64,
    /// Total examples over total time, all replicas.
    pub throughput_examples_per_second: f64,
    /// Over steps, each as long as its slowest replica.
    pub step_seconds_median: f64,
    pub step_seconds_mad: f64,
    pub step_seconds_min: f64,
    pub step_seconds_max: f64,
    /// Mean of a step over replicas and steps; the phases and `other_seconds` sum to it.
    pub step_seconds_mean: f64,
    /// In the order of [`Phase`].
    pub phase_seconds: [f64; Phase::COUNT],
    pub other_seconds: f64,
    pub first_step_seconds: f64,
    pub startup_seconds: f64,
    pub prefill_seconds: f64,
    /// From launch to the end of the last process.
    pub repeat_seconds: f64,
    pub first_loss: Option<f64>,
    pub last_loss: Option<f64>,
    pub parameter_digest: String,
    pub exchanged_bytes: u64,
    pub peak_memory_bytes: u64,
    pub cpu_seconds: f64,
    pub convolution: String,
}

/// Who measured, with what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provenance {
    pub machine: String,
    pub xrun_version: String,
    /// Identity of the program that trained.
    pub program: String,
    /// Of the experiment's repository, with `+` where it had changes.
    pub git_revision: String,
    pub load_average: f64,
}

/// One line of `samples.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRow {
    pub key: Key,
    pub rank: usize,
    pub window: crate::protocol::StepWindow,
}
