//! The campaign: one repeat after the other, each a row before the next begins.

use super::ceilings::{Limits, Probes};
use super::record::{self, Before};
use super::schedule::{Schedule, Task};
use crate::commands::Ending;
use crate::commands::prepare::{Prepared, cache};
use crate::launch::progress::Progress;
use crate::launch::{Interrupted, RepeatRequest, RepeatResult, Session};
use crate::table::Journal;
use crate::terms::Outcome;
use anyhow::Result;

/// What a run measures with.
pub struct Campaign<'a> {
    pub prepared: &'a Prepared,
    pub schedule: &'a Schedule<'a>,
    pub session: Session,
    /// The user has asked not to wait for others who use this machine.
    pub shared_machine: bool,
    pub probes: Probes,
}

impl Campaign<'_> {
    /// Measures every task of the schedule.
    ///
    /// # Errors
    /// Only where a row cannot be written.
    pub fn measure(&mut self, journal: &mut Journal) -> Result<Ending> {
        let mut progress = Progress::new(self.schedule.tasks.len(), 0);
        let mut ending = Ending::Done;
        for task in &self.schedule.tasks {
            let Ok((before, result)) = self.one(task, &mut progress) else {
                progress.say(
                    "interrupted: the rows so far are safe, and the next call goes on from here",
                );
                ending = Ending::Interrupted;
                break;
            };
            if result.outcome != Outcome::Completed {
                ending = Ending::WrongCells;
            }
            let cell = self.schedule.runs(task);
            let row = record::tried(self.prepared, cell, task, before, &result);
            journal.append(&row, &record::samples(&row.key, &result))?;
            progress.finish(&result);
        }
        progress.end();
        Ok(ending)
    }

    fn one(
        &mut self,
        task: &Task,
        progress: &mut Progress,
    ) -> Result<(Before, RepeatResult), Interrupted> {
        let (cell, runs) = self.schedule.runs(task);
        let log = |name: &str| self.prepared.folder.join("logs").join(name);
        let cache = cache();
        let request = |log| RepeatRequest {
            settings: &runs.settings,
            slots: &runs.slots,
            program: runs.program,
            cache: &cache,
            log,
        };
        let probe_log = log(&format!("run{}.block{}.probe", task.run, task.block));
        let limits = self.limits(task.block, &request(&probe_log), progress)?;
        let fixed = runs.settings.warmup_steps + runs.settings.steps;
        let steps = runs.settings.stop_at_global_step.unwrap_or(fixed);
        progress.begin(task.block, &cell.label, steps);
        let before = Before::now(self.shared_machine, limits);
        let log = log(&format!("run{}.{}.{}", task.run, cell.id, task.repeat));
        let result = self
            .session
            .run_repeat(&request(&log), &mut |update| progress.update(update))?;
        Ok((before, result))
    }

    /// What the machine can do at most for a cell, measured once a block.
    fn limits(
        &mut self,
        block: u32,
        request: &RepeatRequest<'_>,
        progress: &mut Progress,
    ) -> Result<Limits, Interrupted> {
        let session = &mut self.session;
        let found = self.probes.limits(block, request.settings, || {
            progress.begin(block, "what memory and transport can do at most", 0);
            session.probe(request)
        })?;
        if let Some(reason) = found.fresh_failure {
            progress.say(&format!("no ceilings in block {block}: {reason}"));
        }
        Ok(found.limits)
    }
}
