//! How a repeat ends before its workers end by themselves: deadlines, faults and Ctrl-C, and what is
//! done about the processes that still run. Every wait of a repeat is bounded here.

use super::super::Update;
use super::super::interrupt::Stage;
use super::super::role::Role;
use super::Repeat;
use crate::terms::Outcome;
use crate::units::Seconds;
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A worker that has said its last word, or closed its stdout, must be gone after this.
const LINGER: Duration = Duration::from_secs(5);
/// After the first Ctrl-C the running repeat may go on for so long.
const FINISH_GRACE: Duration = Duration::from_secs(10);
/// Between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_millis(500);
/// A process that survives SIGKILL for so long hangs in the kernel and is given up.
const KILL_BOUND: Duration = Duration::from_secs(5);
/// Between two looks at processes that were killed.
const SETTLE_INTERVAL: Duration = Duration::from_millis(1);
/// A longer timeout is no bound that anybody lives to see, and may not fit the clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How the repeat is being ended before its workers end by themselves.
#[derive(Debug)]
pub enum Ending {
    Fault(Fault),
    Interrupted,
}

/// What went wrong first.
#[derive(Debug)]
pub struct Fault {
    pub outcome: Outcome,
    pub rank: usize,
    pub text: String,
}

/// What is done about processes that still run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    Run,
    /// SIGTERM was sent; SIGKILL follows then.
    Asked(Instant),
    /// SIGKILL was sent; nothing more is waited for then.
    Killed(Instant),
}

impl Repeat<'_> {
    /// When [`Repeat::overdue`] has to be called if nothing happens before.
    pub(super) fn deadline(&self) -> Instant {
        match self.pace {
            Pace::Asked(until) | Pace::Killed(until) => until,
            Pace::Run => {
                let lingering = self.roles.iter().filter_map(Role::ending_since);
                let gone = lingering
                    .min()
                    .map(|since| Instant::from_std(since) + LINGER);
                let bounds = [Some(self.timeout()), self.finish_by, gone];
                bounds
                    .into_iter()
                    .flatten()
                    .min()
                    .expect("the timeout is always there")
            }
        }
    }

    fn timeout(&self) -> Instant {
        self.launched + self.request.settings.timeout.min(LONGEST)
    }

    /// A deadline has passed. True when what still runs has to be given up.
    pub(super) fn overdue(&mut self) -> bool {
        let now = Instant::now();
        match self.pace {
            Pace::Killed(_) => return true,
            Pace::Asked(_) => self.kill(),
            Pace::Run if self.finish_by.is_some_and(|by| by <= now) => {
                self.ask(Ending::Interrupted)
            }
            Pace::Run if self.timeout() <= now => {
                let fault = self.timed_out();
                self.ask(Ending::Fault(fault));
            }
            Pace::Run => self.lingering(now),
        }
        false
    }

    fn timed_out(&self) -> Fault {
        let rank = self
            .roles
            .iter()
            .position(|role| !role.is_over())
            .unwrap_or(0);
        let limit = Seconds(self.request.settings.timeout.as_secs_f64());
        let text = format!(
            "{} after {limit} (measure.timeout)",
            self.roles[rank].stage()
        );
        Fault {
            outcome: Outcome::TimedOut,
            rank,
            text,
        }
    }

    fn lingering(&mut self, now: Instant) {
        let late = |role: &Role| {
            role.ending_since()
                .is_some_and(|since| Instant::from_std(since) + LINGER <= now)
        };
        let Some(rank) = self.roles.iter().position(late) else {
            return;
        };
        let within = Seconds(LINGER.as_secs_f64());
        self.fail(
            rank,
            format!("{} within {within}", self.roles[rank].lingers()),
        );
        if self.roles[rank].has_exited() {
            self.processes[rank].stop_reading();
            self.roles[rank].close();
        }
    }

    /// The user has become more urgent.
    pub(super) fn interrupted(&mut self, stage: Stage, show: &mut dyn FnMut(Update)) {
        self.stage = stage;
        if stage == Stage::Kill {
            self.ending.get_or_insert(Ending::Interrupted);
            self.kill();
        } else {
            self.finish_by = Some(Instant::now() + FINISH_GRACE);
            show(Update::Stopping {
                grace_seconds: FINISH_GRACE.as_secs(),
            });
        }
    }

    /// Ends the repeat at once. Only the first fault counts: others follow from it.
    pub(super) fn fail(&mut self, rank: usize, text: String) {
        if self.ending.is_none() {
            self.ending = Some(Ending::Fault(Fault {
                outcome: Outcome::Failed,
                rank,
                text,
            }));
            self.kill();
        }
    }

    /// Ends the repeat with a moment for the workers to end by themselves.
    fn ask(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
        self.pace = Pace::Asked(Instant::now() + TERM_GRACE);
        self.signal(Signal::TERM);
    }

    fn kill(&mut self) {
        self.pace = Pace::Killed(Instant::now() + KILL_BOUND);
        self.signal(Signal::KILL);
    }

    /// Waits until killed processes are gone, so that none disturbs the next repeat. They are no
    /// children of the harness, and nothing tells when they end; mostly there are none.
    pub(super) async fn settle(&self) {
        let until = Instant::now() + KILL_BOUND;
        for process in &self.processes {
            while process.members() > 0 && Instant::now() < until {
                sleep(SETTLE_INTERVAL).await;
            }
        }
    }

    /// To the groups whose leader runs: only then their number is surely theirs.
    fn signal(&self, signal: Signal) {
        let running = self
            .roles
            .iter()
            .zip(&self.processes)
            .filter(|(role, _)| !role.has_exited());
        running.for_each(|(_, process)| process.signal(signal));
    }
}
