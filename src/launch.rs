//! One repeat as a set of processes. In: a [`RepeatRequest`]: settings, devices, a program. Out: a
//! [`RepeatResult`]: what became of it, and the evidence. Knows no sweep, no file and no chart.
//!
//! ```text
//! Session ── one per harness: the runtime, the guard, Ctrl-C
//!    │ run_repeat
//! repeat ─── handshake and result; repeat/ending: deadlines, faults, Ctrl-C
//!    ├─ cast      who takes part: workers and servers, and the job of each
//!    ├─ process   one process: its group, environment, pipes, log
//!    ├─ events    its output, line by line, bounded
//!    ├─ role      what it has said so far, and whether it may say that now
//!    ├─ diagnosis why the repeat failed, from what went wrong with each
//!    ├─ evidence  whether the work was done
//!    └─ measured  the figures of the row
//! ```
//!
//! This is the only asynchronous code of the harness. The runtime has one thread, the caller's,
//! since the parent-death signal of a worker follows the thread that started it.
//!
//! # Where processes run
//!
//! Only on this machine. Another launcher (Slurm's `srun`, MPI) needs three things and no more:
//!
//! 1. an argv prefix before `xrun worker`, in [`process`];
//! 2. a placement of roles on hosts, beside [`slots`];
//! 3. a way to kill what it started, beside [`process::Process::signal`].
//!
//! Pipes, handshake, deadlines and outcomes are the same for all. There is no trait for it until
//! there is a second launcher.
//!
//! # What ends processes
//!
//! | event | how workers end | how their children end |
//! |---|---|---|
//! | failure of one process | half a second for the others to say what they waited for, then SIGKILL to every group | the same |
//! | timeout, Ctrl-C after its grace | SIGTERM to every group, SIGKILL a moment later | the same |
//! | second Ctrl-C | SIGKILL to every group | the same |
//! | a worker exits | | SIGKILL to what is left of its group |
//! | the harness dies, even by `kill -9` | parent-death signal, end of stdin | SIGKILL by the [`guard`] |
//!
//! A child of a worker that starts a session or a process group of its own leaves the worker's
//! group and escapes all of this, unless it watches its own stdin or parent.

mod asked;
mod cast;
mod diagnosis;
mod events;
mod evidence;
pub mod guard;
pub mod interrupt;
mod measured;
pub mod process;
pub mod progress;
mod repeat;
mod role;
pub mod slots;

#[cfg(test)]
mod fixture;

pub use measured::{Cluster, Gpus, Measured};

use crate::flavour::Program;
use crate::machine::state::Listing;
use crate::protocol::{Ceiling, LinkReport, ReplicaReport, ServerReport, StepWindow, WorkerReport};
use crate::spec::settings::Settings;
use crate::terms::Outcome;
use anyhow::{Context, Result};
use guard::Guard;
use interrupt::Interrupt;
use slots::Slots;
use std::path::Path;
use tokio::runtime::{Builder, Runtime};

/// What one repeat needs.
#[derive(Clone, Copy, Debug)]
pub struct RepeatRequest<'a> {
    pub settings: &'a Settings,
    pub slots: &'a Slots,
    pub program: &'a Program,
    /// Where workers keep generated input files between repeats.
    pub cache: &'a Path,
    /// stderr of worker 0 is appended to `<log>.worker0.log`, that of server 0 to `<log>.server0.log`,
    /// and so on; their folder is made. A log that is empty in the end is removed. Checkpoints are
    /// kept in `<log>.checkpoints`.
    pub log: &'a Path,
}

/// What became of one repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct RepeatResult {
    pub outcome: Outcome,
    /// One line; empty where it completed.
    pub reason: String,
    /// From launch to the end of the last process.
    pub seconds: f64,
    /// Where it completed.
    pub measured: Option<Measured>,
    /// By rank; empty unless every worker finished.
    pub workers: Vec<WorkerResult>,
    /// By rank; empty unless every server finished.
    pub servers: Vec<ServerResult>,
}

impl RepeatResult {
    /// All timings with their rank, in the order of ranks.
    pub fn samples(&self) -> impl Iterator<Item = (usize, StepWindow)> {
        let workers = self.workers.iter().enumerate();
        workers.flat_map(|(rank, worker)| worker.windows.iter().map(move |window| (rank, *window)))
    }

    /// Turns a completed repeat into a wrong result where NVML, looked at while it ran, shows a worker on
    /// another GPU than its own.
    pub fn compare_with_listings(&mut self, slots: &Slots, listings: &[Listing]) {
        if self.outcome != Outcome::Completed {
            return;
        }
        if let Err(reason) = evidence::check_listed(slots, &self.workers, listings) {
            (self.outcome, self.reason) = (Outcome::WrongResult, reason);
            self.measured = None;
        }
    }
}

/// What one worker that finished has told, and what the harness saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerResult {
    pub windows: Vec<StepWindow>,
    pub replicas: Vec<ReplicaReport>,
    pub links: Vec<LinkReport>,
    pub report: WorkerReport,
    /// The number of its process group.
    pub group: i32,
    /// From `Start` to `Finished` by the harness's clock: no claim of the worker can exceed it.
    pub wall_seconds: f64,
}

/// What one server that finished has told, and what the harness saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerResult {
    pub report: ServerReport,
    /// From `Start` to `Served` by the harness's clock.
    pub wall_seconds: f64,
}

/// Something to show, or to look at, while a repeat runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// All processes have built what they need on their devices, and are about to start.
    Ready,
    /// Rank 0 has done so many steps, warm-up included.
    Steps(u64),
    /// The first Ctrl-C: the repeat may go on for so many seconds.
    Stopping { grace_seconds: u64 },
}

/// The user stopped the repeat before it ended. It leaves no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Why there are no ceilings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// One line.
    #[error("measuring what the machine can do at most: {0}")]
    Failed(String),
}

/// The harness's side of all processes: one per run.
#[derive(Debug)]
pub struct Session {
    runtime: Runtime,
    guard: Guard,
    interrupt: Interrupt,
}

impl Session {
    /// Starts the guard from `program`, which must be xrun itself.
    ///
    /// # Errors
    /// Where no process can be started or the kernel has no more descriptors.
    pub fn start(program: &Program, interrupt: Interrupt) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            runtime: runtime.context("starting the runtime that waits for workers")?,
            guard: Guard::start(program).context("starting the guard of worker processes")?,
            interrupt,
        })
    }

    /// Runs one repeat to its end, however that comes. Blocks; `show` is called while it runs.
    ///
    /// # Errors
    /// Only where the user stopped it: every other failure is an outcome.
    pub fn run_repeat(
        &mut self,
        request: &RepeatRequest<'_>,
        show: &mut dyn FnMut(Update),
    ) -> Result<RepeatResult, Interrupted> {
        let run = repeat::run(request, &mut self.guard, &mut self.interrupt, show);
        self.runtime.block_on(run)
    }

    /// Measures what the machine can do at most with the model and the transport of a cell: starts one
    /// process of the role `probe`, with a device for each of the first two cores of the slots.
    /// Blocks; bounded by `measure.timeout` as a repeat is.
    ///
    /// # Errors
    /// Where the user stopped it, or the probe did not do its work.
    pub fn probe(&mut self, request: &RepeatRequest<'_>) -> Result<Vec<Ceiling>, ProbeError> {
        let run = repeat::probe(request, &mut self.guard, &mut self.interrupt);
        self.runtime.block_on(run)
    }
}
