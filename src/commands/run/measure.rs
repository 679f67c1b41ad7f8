//! The campaign: one repeat after the other, each a row before the next begins.

use super::record::{self, Before};
use super::schedule::{Schedule, Task};
use crate::commands::Ending;
use crate::commands::prepare::Prepared;
use crate::launch::progress::Progress;
use crate::launch::{Interrupted, RepeatRequest, RepeatResult, Session};
use crate::table::Journal;
use crate::terms::Outcome;
use anyhow::Result;
use std::path::PathBuf;

/// Measures every task of the schedule.
///
/// # Errors
/// Only where a row cannot be written.
pub fn all(
    prepared: &Prepared,
    schedule: &Schedule,
    session: &mut Session,
    journal: &mut Journal,
    shared_machine: bool,
) -> Result<Ending> {
    let mut progress = Progress::new(schedule.tasks.len(), 0);
    let mut ending = Ending::Done;
    for task in &schedule.tasks {
        let before = Before::now(shared_machine);
        let Ok(result) = one(prepared, schedule, task, session, &mut progress) else {
            progress
                .say("interrupted: the rows so far are safe, the same command goes on from here");
            ending = Ending::Interrupted;
            break;
        };
        if result.outcome != Outcome::Completed {
            ending = Ending::WrongCells;
        }
        let row = record::tried(
            prepared,
            schedule.runs(task),
            task,
            journal.run(),
            before,
            &result,
        );
        journal.append(&row, &record::samples(&row.key, &result))?;
        progress.finish(&result);
    }
    progress.end();
    Ok(ending)
}

fn one(
    prepared: &Prepared,
    schedule: &Schedule,
    task: &Task,
    session: &mut Session,
    progress: &mut Progress,
) -> Result<RepeatResult, Interrupted> {
    let (cell, runs) = schedule.runs(task);
    let steps = runs.settings.warmup_steps + runs.settings.steps;
    progress.begin(task.block, &cell.label, steps);
    let request = RepeatRequest {
        settings: &runs.settings,
        slots: &runs.slots,
        program: runs.program,
        cache: &cache(),
        log: &prepared
            .folder
            .join("logs")
            .join(format!("{}.{}", cell.id.0, task.repeat)),
    };
    session.run_repeat(&request, &mut |update| progress.update(update))
}

/// Where generated input files are kept between repeats and runs.
fn cache() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("xrun")
}
