//! `xrun FILE`: measures what is missing, records it, draws it and says why.

mod ceilings;
mod conclude;
mod leases;
mod measure;
mod record;
mod retakes;
mod schedule;

use super::prepare::Prepared;
use super::{Ending, build};
use crate::cli::{LockArgs, Rerun, RunArgs};
use crate::launch::Session;
use crate::launch::interrupt;
use crate::machine::state::Sensors;
use crate::spec::settings::SETTINGS;
use crate::table::{Journal, MachineLock, Opening};
use anyhow::{Context, Result};
use ceilings::Probes;
pub(super) use ceilings::Subject;
pub(super) use leases::Leases;
use measure::Campaign;
use schedule::Schedule;
use std::path::Path;

/// Runs an experiment to its end.
///
/// # Errors
/// A wrong file or flag; a folder that cannot be written; a lock that another xrun holds. A cell that
/// goes wrong is no error.
pub fn run(file: &Path, arguments: &RunArgs) -> Result<Ending> {
    let mut prepared = Prepared::load(file, &arguments.selection)?;
    let _machine = lock_machine(&arguments.lock, &prepared.experiment.name)?;
    let mut journal = open_journal(arguments, &prepared)?;
    for notice in journal.notices() {
        eprintln!("note: {notice}");
    }
    let interrupt = interrupt::listen().context("listening for Ctrl-C")?;
    let flavours = prepared.needed_flavours();
    if !build::provide(&mut prepared, &flavours, &interrupt)? {
        return Ok(Ending::Interrupted);
    }
    record::describe(&prepared, &journal)?;
    let schedule = Schedule::new(&prepared, &journal, arguments);
    schedule.announce(&prepared, &mut std::io::stdout())?;
    schedule.record_skips(&prepared, &mut journal)?;
    let ending = if schedule.tasks.is_empty() {
        Ending::Done
    } else {
        let mut campaign = Campaign {
            prepared: &prepared,
            schedule: &schedule,
            sensors: sensors(&prepared),
            session: Session::start(prepared.own_program()?, interrupt)?,
            shared_machine: arguments.lock.share_machine,
            keep_disturbed: arguments.keep_disturbed,
            probes: Probes::default(),
            leases: Leases::default(),
        };
        campaign.measure(&mut journal)?
    };
    let told = conclude::conclude(&prepared, &schedule, &journal, &arguments.charts);
    match (told, ending) {
        // That a cell went wrong, or that the user has stopped, says more than a chart that is missing.
        (Err(error), Ending::WrongCells | Ending::Interrupted) => eprintln!("xrun: {error:#}"),
        (told, _) => told?,
    }
    Ok(ending)
}

/// Of the GPUs, where there are some.
fn sensors(prepared: &Prepared) -> Sensors {
    match prepared.machine.gpus.is_empty() {
        true => Sensors::default(),
        false => Sensors::open(),
    }
}

/// One measurement at a time on a machine, unless the user says otherwise. Who shares it says so to
/// those who come later.
pub(super) fn lock_machine(arguments: &LockArgs, purpose: &str) -> Result<MachineLock> {
    let path = &arguments.machine_lock;
    if arguments.share_machine {
        return Ok(MachineLock::share(path, purpose)?);
    }
    MachineLock::acquire(path, purpose)
        .context("locking this machine (--share-machine measures all the same, and marks the rows)")
}

fn open_journal(arguments: &RunArgs, prepared: &Prepared) -> Result<Journal> {
    let setting_keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    let zips = prepared.experiment.axes.iter().filter(|axis| axis.is_zip());
    let axes: Vec<&str> = zips.map(|axis| axis.name.as_str()).collect();
    let opening = Opening {
        setting_keys: &setting_keys,
        axes: &axes,
        purpose: &prepared.experiment.name,
        new_run: arguments.rerun == Some(Rerun::All),
    };
    Ok(Journal::open(&prepared.folder, &opening)?)
}
