//! In: the [`RepeatRow`] and [`SampleRow`]s of one repeat after the other. Out: `repeats.csv` and
//! `samples.csv` in a result folder, from which the same rows are read back by header name, whatever
//! interrupted the writing. Knows no settings by name, plans nothing and runs nothing.
//!
//! [`Journal`] is the folder open for writing; [`read_repeats`] and [`visit_samples`] read it;
//! [`resume`] says what is left to measure, [`references`] what others measured before.

mod append;
mod columns;
mod csv;
mod error;
mod field;
pub mod journal;
pub mod lock;
mod marker;
pub mod references;
pub mod resume;
mod samples;
pub mod stale;

pub use csv::{is_reserved, read_repeats};
pub use error::TableError;
pub use journal::{Journal, Opening};
pub use lock::MachineLock;
pub use samples::{SampleView, visit_samples};

use crate::terms::{Mark, Outcome, Phase};
use std::collections::BTreeMap;

/// A row's key. Numbers are never reused within a result folder. The cell's id is of ASCII letters
/// and digits.
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
    /// The pass over all cells that it belongs to, from 1; 0 for a skipped cell, which ran in none.
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

impl RepeatRow {
    /// A row of nothing but an outcome.
    pub(crate) fn blank(outcome: Outcome) -> Self {
        Self {
            key: Key {
                run: 0,
                cell: String::new(),
                repeat: 0,
            },
            block: 0,
            position: 0,
            label: String::new(),
            started_at: String::new(),
            outcome,
            reason: String::new(),
            marks: Vec::new(),
            axis_labels: BTreeMap::new(),
            settings: BTreeMap::new(),
            resolved: Resolved::default(),
            measured: None,
            provenance: Provenance::default(),
        }
    }

    /// True where its figures may be compared: it completed with the present program and plan.
    pub fn counts(&self) -> bool {
        self.outcome == Outcome::Completed && !self.marks.contains(&Mark::Stale)
    }
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
    /// Tells runs of the same number in different checkouts apart. [`Journal::append`] fills it in.
    pub run_token: String,
}

/// One line of `samples.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRow {
    pub key: Key,
    pub rank: usize,
    pub window: crate::protocol::StepWindow,
}
