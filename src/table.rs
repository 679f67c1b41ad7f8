//! In: the [`RepeatRow`] and [`SampleRow`]s of one repeat after the other. Out: `repeats.csv` and
//! `samples.csv` in a result folder, from which the same rows are read back by header name, whatever
//! interrupted the writing. Knows no settings by name, plans nothing and runs nothing.
//!
//! [`Journal`] is the folder open for writing; [`read_repeats`] and [`visit_samples`] read it;
//! [`resume`] says what is left to measure, [`retaken`] which rows give way to later ones,
//! [`references`] what others measured before.

mod append;
mod columns;
mod csv;
mod error;
mod field;
pub mod journal;
pub mod lock;
mod marker;
pub mod references;
pub(crate) mod replace;
pub mod resume;
pub mod retaken;
mod samples;
pub mod stale;
mod summary;

pub use csv::{is_reserved, read_repeats, repeats_of};
pub use error::TableError;
pub use journal::{Journal, Opening};
pub use lock::MachineLock;
pub use samples::{SampleView, visit_samples};
pub use summary::write_summary;

pub use crate::launch::{Cluster, Gpus, Measured};
pub use crate::machine::state::{GpuState, State};

use crate::terms::{Mark, Outcome};
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
    /// Which build of its flavour it measured, from 1; 0 for a skipped cell, and in tables that do not
    /// say it: see [`RepeatRow::build`].
    pub build: u32,
    pub label: String,
    /// The cell that this row's is the A/A twin of; empty for all others.
    pub twin_of: String,
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
    pub ceilings: Ceilings,
    /// The machine around it.
    pub state: State,
    pub provenance: Provenance,
}

/// What a probe found in the block of a repeat, with the transport and the tensors of its cell, in
/// gigabytes per second. Those of exchanges are empty where nothing crosses between processes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ceilings {
    /// Copying within memory; bytes count once.
    pub copy: Option<f64>,
    /// The model's tensors one way.
    pub one_way: Option<f64>,
    /// The exchange of the cell's topology: there and back for servers, or an all-reduce.
    pub exchange: Option<f64>,
    /// All bytes that an update reads and writes.
    pub apply: Option<f64>,
    /// Achieved rate of the exchange over its ceiling.
    pub share: Option<f64>,
    pub gpu: GpuCeilings,
}

/// What the first GPU of a cell can do at most; empty on CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GpuCeilings {
    /// Copies from and to page-locked memory, and within the GPU, in gigabytes per second.
    pub host_to_device: Option<f64>,
    pub device_to_host: Option<f64>,
    pub device_to_device: Option<f64>,
    /// Large products of f32, without and with rounding to TF32, in 10¹² operations per second.
    pub gemm: Option<f64>,
    pub gemm_tf32: Option<f64>,
    /// From one small kernel to the next.
    pub launch_seconds: Option<f64>,
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
            build: 0,
            label: String::new(),
            twin_of: String::new(),
            started_at: String::new(),
            outcome,
            reason: String::new(),
            marks: Vec::new(),
            axis_labels: BTreeMap::new(),
            settings: BTreeMap::new(),
            resolved: Resolved::default(),
            measured: None,
            ceilings: Ceilings::default(),
            state: State::default(),
            provenance: Provenance::default(),
        }
    }

    /// Which build of its flavour it measured: the first where its table does not say it.
    pub fn build(&self) -> u32 {
        self.build.max(1)
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
    /// Those of each server.
    pub server_cores: String,
    /// Runnable threads for each core that the cell may use.
    pub threads_per_core: f64,
}

/// Who measured, with what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provenance {
    pub machine: String,
    /// Version of the GPUs' driver; empty on a CPU.
    pub gpu_driver: String,
    pub xrun_version: String,
    /// Identity of the program that trained.
    pub program: String,
    /// Of the experiment's repository, with `+` where it had changes.
    pub git_revision: String,
    pub load_average: f64,
    /// Tells runs of the same number in different checkouts apart. [`Journal::append`] fills it in.
    pub run_token: String,
    pub build: Build,
}

/// How the program that trained was built, in its own words; lists are separated by spaces. Empty
/// where the program does not say it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Build {
    /// Of its sources, where whoever built it said so.
    pub git_revision: String,
    pub profile: String,
    pub profile_settings: String,
    pub features: String,
    /// Instructions that the compiler was free to use everywhere.
    pub target_features: String,
    pub rustflags: String,
    /// What it takes on this processor where it asks at run time.
    pub vector_extensions: String,
    /// How many of its instructions use wide registers, where flavours were compared.
    pub wide_instructions: String,
    pub compiler: String,
    pub libraries: String,
    /// Hash of the program's file; empty for the running program, which is known by its sources.
    pub contents: String,
}

/// One line of `samples.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRow {
    pub key: Key,
    pub rank: usize,
    pub window: crate::protocol::StepWindow,
}
