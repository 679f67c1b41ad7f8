//! The campaign: one repeat after the other, each a row before the next begins.

use super::ceilings::{Limits, Probes, Subject};
use super::leases::Leases;
use super::record::{self, Around};
use super::retakes::Retakes;
use super::schedule::{Schedule, Task};
use crate::commands::Ending;
use crate::commands::prepare::{Prepared, cache};
use crate::launch::progress::Progress;
use crate::launch::{Interrupted, RepeatRequest, RepeatResult, Session, Update};
use crate::machine::state::{GpuWatch, Processors, Sensors, Watch};
use crate::spec::settings::Settings;
use crate::table::Journal;
use crate::terms::Outcome;
use anyhow::Result;

/// What a run measures with.
pub struct Campaign<'a> {
    pub prepared: &'a Prepared,
    pub schedule: &'a Schedule<'a>,
    /// Of the GPUs.
    pub sensors: Sensors,
    pub session: Session,
    /// The user has asked not to wait for others who use this machine.
    pub shared_machine: bool,
    /// The user has asked not to take disturbed repeats again.
    pub keep_disturbed: bool,
    pub probes: Probes,
    pub leases: Leases,
}

/// What came of a task.
enum Attempt {
    Tried(Box<(Around, RepeatResult)>),
    /// Why nothing was started.
    Skipped(String),
}

impl Campaign<'_> {
    /// Measures every task of the schedule, and again those that were disturbed.
    ///
    /// # Errors
    /// Only where a row cannot be written.
    pub fn measure(&mut self, journal: &mut Journal) -> Result<Ending> {
        let tasks = &self.schedule.tasks;
        let mut progress = Progress::new(tasks.len(), 0);
        let cells = self.prepared.plan.cells.len();
        let mut retakes = Retakes::new(tasks, cells, self.keep_disturbed);
        let mut planned = tasks.iter().cloned().peekable();
        let mut ending = Ending::Done;
        while let Some(task) = retakes.due(planned.peek()).or_else(|| planned.next()) {
            let (around, result) = match self.one(&task, &mut progress) {
                Ok(Attempt::Tried(tried)) => *tried,
                Ok(Attempt::Skipped(reason)) => {
                    self.skip(&task, &reason, journal, &mut progress)?;
                    continue;
                }
                Err(Interrupted) => {
                    progress.say(
                        "interrupted: the rows so far are safe, and the next call goes on from here",
                    );
                    ending = Ending::Interrupted;
                    break;
                }
            };
            let completed = result.outcome == Outcome::Completed;
            if !completed {
                ending = Ending::WrongCells;
            }
            let disturbance = self.disturbance(&around).filter(|_| completed);
            let cell = self.schedule.runs(&task);
            let row = record::tried(self.prepared, cell, &task, around, &result);
            journal.append(&row, &record::samples(&row.key, &result))?;
            progress.finish(&result);
            if let Some(why) = disturbance {
                tell(&mut progress, &why, retakes.note(&task));
            }
        }
        progress.end();
        if let Some(told) = retakes.told() {
            progress.say(&told);
        }
        Ok(ending)
    }

    /// Why a repeat should be taken again. Who shares the machine or its GPUs has asked for disturbed
    /// rows.
    fn disturbance(&self, around: &Around) -> Option<String> {
        let unasked = [&around.lease.left, &around.seen.disturbance];
        let unasked: Vec<&str> = unasked.into_iter().flatten().map(String::as_str).collect();
        let shared = self.shared_machine || around.lease.occupied.is_some();
        (!unasked.is_empty() && !shared).then(|| unasked.join("; "))
    }

    /// A repeat that could not be tried belongs to no block: the next call tries it.
    fn skip(
        &self,
        task: &Task,
        reason: &str,
        journal: &mut Journal,
        progress: &mut Progress,
    ) -> Result<()> {
        let (cell, _) = self.schedule.runs(task);
        let row = record::skipped(self.prepared, task.run, cell, task.repeat, reason);
        journal.append(&row, &[])?;
        progress.begin(task.block, &cell.label, 0);
        progress.skip(reason);
        Ok(())
    }

    fn one(&mut self, task: &Task, progress: &mut Progress) -> Result<Attempt, Interrupted> {
        let (cell, runs) = self.schedule.runs(task);
        let asked = self
            .leases
            .ask(&runs.slots.gpus(), runs.settings.allow_occupied);
        let lease = match asked {
            Ok(lease) => lease,
            Err(reason) => return Ok(Attempt::Skipped(reason)),
        };
        let log = |name: &str| self.prepared.folder.join("logs").join(name);
        let cache = cache();
        let request = |log| RepeatRequest {
            settings: &runs.settings,
            slots: &runs.slots,
            program: runs.program(task.block),
            cache: &cache,
            log,
        };
        let probe_log = log(&format!("run{}.block{}.probe", task.run, task.block));
        let limits = self.limits(task.block, &request(&probe_log), progress)?;
        let fixed = runs.settings.warmup_steps + runs.settings.steps;
        let steps = runs.settings.stop_at_global_step.unwrap_or(fixed);
        progress.begin(task.block, &cell.label, steps);
        let mut around = Around::before(self.shared_machine, limits, lease);
        let log = log(&format!("run{}.{}.{}", task.run, cell.id, task.repeat));
        let (usable, pinned) = (self.prepared.machine.cpus(), runs.slots.cpus());
        let processors = Processors {
            usable: &usable,
            pinned: &pinned,
        };
        let uuids = runs.slots.gpus().into_iter().map(str::to_owned);
        let gpus = GpuWatch::new(&self.sensors, uuids.collect());
        let mut watch = Watch::begin(processors, gpus);
        let mut result = self.session.run_repeat(&request(&log), &mut |update| {
            match update {
                Update::Ready => watch.ready(),
                Update::Steps(steps) if is_measured(&runs.settings, steps) => watch.look(),
                Update::Steps(_) | Update::Stopping { .. } => {}
            }
            progress.update(update);
        })?;
        let measured = result.measured.as_ref();
        let groups: Vec<i32> = result.workers.iter().map(|worker| worker.group).collect();
        around.seen = watch.end(measured.map(|measured| measured.elapsed_seconds), &groups);
        result.compare_with_listings(&runs.slots, &around.seen.listings);
        self.leases.give_back();
        Ok(Attempt::Tried(Box::new((around, result))))
    }

    /// What the machine can do at most for a cell, measured once a block.
    fn limits(
        &mut self,
        block: u32,
        request: &RepeatRequest<'_>,
        progress: &mut Progress,
    ) -> Result<Limits, Interrupted> {
        let session = &mut self.session;
        let subject = Subject::of(request.settings, &request.slots.gpus());
        let found = self.probes.limits(block, subject, || {
            progress.begin(block, "what memory, transports and GPUs can do at most", 0);
            session.probe(request)
        })?;
        if let Some(reason) = found.fresh_failure {
            progress.say(&format!("no ceilings in block {block}: {reason}"));
        }
        Ok(found.limits)
    }
}

/// Whether so many steps of a worker are more than its warm-up. That ends at a global step where the repeat does,
/// of which a worker may have done few.
fn is_measured(settings: &Settings, steps: u64) -> bool {
    settings.stop_at_global_step.is_some() || steps > settings.warmup_steps
}

/// Says that the last repeat was disturbed, and what comes of it.
fn tell(progress: &mut Progress, why: &str, again: bool) {
    let then = match again {
        true => "taken again at the end of its block",
        false => "kept",
    };
    progress.say(&format!("disturbed, {then}: {why}"));
    if again {
        progress.add_one();
    }
}
