//! What is written beside the figures: the row of a repeat, the resolved file, plan and machine.

use super::ceilings::Limits;
use super::leases::Lease;
use super::schedule::Task;
use crate::commands::prepare::{Prepared, Runs};
use crate::launch::RepeatResult;
use crate::machine::load_average;
use crate::machine::state::{Seen, State};
use crate::plan::Cell;
use crate::table::replace::replace_file;
use crate::table::{Journal, Key, Provenance, RepeatRow, Resolved, SampleRow};
use crate::terms::{DeviceKind, Mark, Outcome};
use anyhow::Result;

/// Writes `experiment.toml`, `plan.toml` and `machine.toml`: what `xrun plot` and a reader need
/// beside the rows.
pub fn describe(prepared: &Prepared, journal: &Journal) -> Result<()> {
    let machine = format!(
        "# of run {}\nname = \"{}\"\ngit_revision = \"{}\"\n{}",
        journal.run(),
        prepared.machine_name,
        prepared.git_revision,
        prepared.machine.to_toml()
    );
    let write = |name: &str, text: &str| replace_file(&prepared.folder.join(name), text.as_bytes());
    write("experiment.toml", &prepared.experiment.to_toml())?;
    write("plan.toml", &prepared.plan.to_toml(&prepared.experiment))?;
    Ok(write("machine.toml", &machine)?)
}

/// The row of a repeat that was tried.
pub fn tried(
    prepared: &Prepared,
    (cell, runs): (&Cell, &Runs),
    task: &Task,
    around: Around,
    result: &RepeatResult,
) -> RepeatRow {
    let mut marks = Vec::new();
    if runs.slots.oversubscribed {
        marks.push(Mark::Oversubscribed);
    }
    if runs.slots.shared_devices {
        marks.push(Mark::SharedDevice);
    }
    if !around.disturbances().is_empty() {
        marks.push(Mark::Disturbed);
    }
    RepeatRow {
        key: Key {
            run: task.run,
            cell: cell.id.0.clone(),
            repeat: task.repeat,
        },
        block: task.block,
        position: task.position,
        build: runs.build(task.block),
        started_at: around.started_at.clone(),
        outcome: result.outcome,
        reason: reason(result, &around),
        marks,
        resolved: runs.resolved.clone(),
        measured: result.measured.clone(),
        state: around.seen.state.clone(),
        ceilings: around.limits.of(&runs.settings, result.measured.as_ref()),
        provenance: Provenance {
            gpu_driver: driver(prepared, runs),
            program: runs.program(task.block).identity.clone(),
            load_average: around.load_average,
            build: prepared.build_of(&runs.flavour, runs.program(task.block)),
            ..provenance(prepared)
        },
        ..declared(cell)
    }
}

/// What was there before a repeat, and what was seen of the machine during it.
pub struct Around {
    pub started_at: String,
    pub load_average: f64,
    pub shared_machine: bool,
    pub limits: Limits,
    pub lease: Lease,
    pub seen: Seen,
}

impl Around {
    /// Before a repeat, of which nothing was seen yet.
    pub fn before(shared_machine: bool, limits: Limits, lease: Lease) -> Self {
        Self {
            limits,
            lease,
            started_at: now(),
            load_average: load_average(),
            shared_machine,
            seen: Seen::default(),
        }
    }

    /// Why the repeat is marked as disturbed.
    fn disturbances(&self) -> Vec<&str> {
        let shared = self
            .shared_machine
            .then_some("measured with --share-machine");
        let others = [
            &self.lease.occupied,
            &self.lease.left,
            &self.seen.disturbance,
        ];
        let others = others.into_iter().flatten().map(String::as_str);
        shared.into_iter().chain(others).collect()
    }
}

/// That of the GPUs, where the cell has some: all GPUs of a machine have one driver.
fn driver(prepared: &Prepared, runs: &Runs) -> String {
    let gpus = prepared.machine.gpus.iter();
    let mut used = gpus.filter(|_| runs.slots.device_kind == DeviceKind::Cuda);
    used.next()
        .map_or_else(String::new, |gpu| gpu.driver.clone())
}

fn reason(result: &RepeatResult, around: &Around) -> String {
    match result.outcome {
        Outcome::Completed => around.disturbances().join("; "),
        _ => result.reason.clone(),
    }
}

/// The row of a cell that cannot be measured here.
pub fn skipped(prepared: &Prepared, run: u32, cell: &Cell, repeat: u32, reason: &str) -> RepeatRow {
    RepeatRow {
        key: Key {
            run,
            cell: cell.id.0.clone(),
            repeat,
        },
        started_at: now(),
        outcome: Outcome::Skipped,
        reason: reason.to_owned(),
        provenance: provenance(prepared),
        ..declared(cell)
    }
}

/// What the file says of a cell; all else is empty.
fn declared(cell: &Cell) -> RepeatRow {
    let text = |(id, value): (
        crate::spec::settings::SettingId,
        &crate::spec::settings::Value,
    )| { (id.key().to_owned(), value.to_string()) };
    RepeatRow {
        key: Key {
            run: 0,
            cell: cell.id.0.clone(),
            repeat: 0,
        },
        block: 0,
        position: 0,
        build: 0,
        label: cell.label.clone(),
        twin_of: cell
            .twin_of
            .as_ref()
            .map_or_else(String::new, |id| id.0.clone()),
        started_at: String::new(),
        outcome: Outcome::Skipped,
        reason: String::new(),
        marks: Vec::new(),
        axis_labels: cell.axis_labels.iter().cloned().collect(),
        settings: cell.values.iter().map(text).collect(),
        resolved: Resolved::default(),
        measured: None,
        ceilings: crate::table::Ceilings::default(),
        state: State::default(),
        provenance: Provenance::default(),
    }
}

fn provenance(prepared: &Prepared) -> Provenance {
    Provenance {
        machine: prepared.machine_name.clone(),
        xrun_version: env!("CARGO_PKG_VERSION").to_owned(),
        git_revision: prepared.git_revision.clone(),
        ..Provenance::default()
    }
}

/// UTC, to the second.
fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The timings of a repeat under its key.
pub fn samples(key: &Key, result: &RepeatResult) -> Vec<SampleRow> {
    let sample = |(rank, window)| SampleRow {
        key: key.clone(),
        rank,
        window,
    };
    result.samples().map(sample).collect()
}
