//! How a repeat ends before its workers end by themselves: deadlines, faults and Ctrl-C, and what is
//! done about the processes that still run. Every wait of a repeat is bounded here.

use super::super::Update;
use super::super::diagnosis::{Trouble, whereabouts};
use super::super::interrupt::Stage;
use super::super::role::Role;
use super::Repeat;
use crate::units::Seconds;
use rustix::process::Signal;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A worker that has said its last word, or closed its stdout, must be gone after this.
const LINGER: Duration = Duration::from_secs(5);
/// After the first Ctrl-C the running repeat may go on for so long.
const FINISH_GRACE: Duration = Duration::from_secs(10);
/// After the first fault the other processes may say so much longer what they were waiting for.
const HEAR_GRACE: Duration = Duration::from_millis(500);
/// Between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_millis(500);
/// A process that survives SIGKILL for so long hangs in the kernel and is given up.
const KILL_BOUND: Duration = Duration::from_secs(5);
/// Between two looks at processes that were killed.
const SETTLE_INTERVAL: Duration = Duration::from_millis(1);
/// A longer timeout is no bound that anybody lives to see, and may not fit the clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How the repeat is being ended before its processes end by themselves.
#[derive(Debug)]
pub enum Ending {
    /// Something went wrong: the troubles of the repeat say what.
    Fault,
    TimedOut {
        culprit: usize,
        text: String,
    },
    Interrupted,
}

/// What is done about processes that still run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    Run,
    /// Something went wrong; until then the others may say what they were waiting for.
    Hear(Instant),
    /// SIGTERM was sent; SIGKILL follows then.
    Asked(Instant),
    /// SIGKILL was sent; nothing more is waited for then.
    Killed(Instant),
}

impl Repeat<'_> {
    /// When [`Repeat::overdue`] has to be called if nothing happens before.
    pub(super) fn deadline(&self) -> Instant {
        match self.pace {
            Pace::Hear(until) | Pace::Asked(until) | Pace::Killed(until) => until,
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
            Pace::Asked(_) | Pace::Hear(_) => self.kill(),
            Pace::Run if self.finish_by.is_some_and(|by| by <= now) => {
                self.ask(Ending::Interrupted)
            }
            Pace::Run if self.timeout() <= now => {
                let ending = self.timed_out();
                self.ask(ending);
            }
            Pace::Run => self.lingering(now),
        }
        false
    }

    fn timed_out(&self) -> Ending {
        let there = || (0..self.roles.len()).filter(|index| !self.roles[*index].is_over());
        let stage = |index: usize| (self.parts[index].name, self.roles[index].stage());
        let limit = Seconds(self.request.settings.timeout.as_secs_f64());
        let stages: Vec<_> = there().map(stage).collect();
        Ending::TimedOut {
            culprit: there().next().unwrap_or(0),
            text: format!("{} after {limit} (measure.timeout)", whereabouts(&stages)),
        }
    }

    fn lingering(&mut self, now: Instant) {
        let late = |role: &Role| {
            role.ending_since()
                .is_some_and(|since| Instant::from_std(since) + LINGER <= now)
        };
        let Some(index) = self.roles.iter().position(late) else {
            return;
        };
        let within = Seconds(LINGER.as_secs_f64());
        let text = format!("{} within {within}", self.roles[index].lingers());
        self.fail(index, Trouble::Broke(text));
        if self.roles[index].has_exited() {
            self.processes[index].stop_reading();
            self.roles[index].close();
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

    /// Ends the repeat. What happens to others after they were killed follows from that.
    pub(super) fn fail(&mut self, index: usize, trouble: Trouble) {
        if !matches!(self.pace, Pace::Run | Pace::Hear(_)) || self.is_in_trouble(index) {
            return;
        }
        self.troubles.push((index, trouble));
        self.ending.get_or_insert(Ending::Fault);
        if self.pace == Pace::Run {
            self.pace = Pace::Hear(Instant::now() + HEAR_GRACE);
        }
        self.hear();
    }

    /// Kills all once everybody has spoken who might know something of the fault.
    pub(super) fn hear(&mut self) {
        let Pace::Hear(_) = self.pace else { return };
        let mut roles = self.roles.iter().enumerate();
        let all_spoke = roles.all(|(index, role)| role.has_spoken() || self.is_in_trouble(index));
        let started = self.roles.iter().any(Role::is_started);
        if all_spoke || !started || !self.works_together() {
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
