//! What one worker has said so far. In: its events, the end of its stdout, its exit status. Out:
//! whether it may say that now, whether it is over, and what went wrong. Pure; knows no process.

use super::WorkerResult;
use crate::protocol::{Event, ReplicaReport, StepWindow, VERSION, WorkerReport};
use crate::spec::settings::Settings;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Instant;

/// The harness's picture of one worker.
#[derive(Debug)]
pub struct Role {
    replicas_asked: usize,
    /// No honest worker sends more windows, and no other may fill the harness's memory.
    windows_at_most: usize,
    pub ready: bool,
    started: Option<Instant>,
    /// Steps that it has told of, warm-up included.
    steps: u64,
    windows: Vec<StepWindow>,
    replicas: Vec<ReplicaReport>,
    finished: Option<(WorkerReport, Instant)>,
    closed: bool,
    /// How its process has ended, or why nobody can tell.
    exit: Option<Result<ExitStatus, String>>,
    /// Since when it should be gone: its last word, or the end of its process.
    ending_since: Option<Instant>,
}

impl Role {
    /// A worker with so many replicas that has said nothing yet.
    pub fn new(settings: &Settings, replicas: usize) -> Self {
        Self {
            replicas_asked: replicas,
            windows_at_most: replicas.saturating_mul(settings.steps as usize),
            ready: false,
            started: None,
            steps: 0,
            windows: Vec::new(),
            replicas: Vec::new(),
            finished: None,
            closed: false,
            exit: None,
            ending_since: None,
        }
    }

    pub fn is_started(&self) -> bool {
        self.started.is_some()
    }

    /// It was told to start.
    pub fn start(&mut self) {
        self.started = Some(Instant::now());
    }

    /// Takes one event.
    ///
    /// # Errors
    /// What is wrong with it: the repeat has failed.
    pub fn take(&mut self, event: Event) -> Result<(), String> {
        if self.finished.is_some() {
            return Err("went on after its finished event".to_owned());
        }
        match event {
            Event::Failed { reason, .. } => return Err(format!("failed: {}", one_line(&reason))),
            Event::Ready { protocol, .. } if self.ready || protocol != VERSION => {
                return Err(wrong_ready(self.ready, protocol));
            }
            Event::Ready { .. } => self.ready = true,
            _ if self.started.is_none() => return Err("sent events before it was started".into()),
            Event::Progress { steps } => self.steps = steps,
            Event::Step(StepWindow { replica, .. })
            | Event::Replica(ReplicaReport { replica, .. })
                if replica >= self.replicas_asked =>
            {
                return Err(format!("told of replica {replica}, which it does not have"));
            }
            Event::Step(window) => self.windows.push(window),
            Event::Replica(report) => self.replicas.push(report),
            Event::Link(_) | Event::Ceiling(_) | Event::Served(_) => {}
            Event::Finished(report) => self.finish(report),
        }
        if self.windows.len() > self.windows_at_most || self.replicas.len() > self.replicas_asked {
            return Err("sent more steps or replicas than it was asked for".to_owned());
        }
        Ok(())
    }

    fn finish(&mut self, report: WorkerReport) {
        let now = Instant::now();
        self.finished = Some((report, now));
        self.ending_since = Some(now);
    }

    /// Its stdout has ended.
    pub fn close(&mut self) {
        self.closed = true;
        self.ending_since.get_or_insert_with(Instant::now);
    }

    /// Its process has ended; without a status where the system refused to tell it.
    pub fn exit(&mut self, status: Result<ExitStatus, String>) {
        self.exit = Some(status);
        self.ending_since = Some(Instant::now());
    }

    pub fn has_exited(&self) -> bool {
        self.exit.is_some()
    }

    /// True when nothing more can come from it.
    pub fn is_over(&self) -> bool {
        self.closed && self.exit.is_some()
    }

    /// Since when it should be gone and is not.
    pub fn ending_since(&self) -> Option<Instant> {
        self.ending_since.filter(|_| !self.is_over())
    }

    /// What it does instead of being gone.
    pub fn lingers(&self) -> &'static str {
        match (&self.exit, &self.finished) {
            (Some(_), _) => "left a process outside its group that holds its output open",
            (None, Some(_)) => "finished and did not exit",
            (None, None) => "closed its output and did not exit",
        }
    }

    /// How far it has come, for the reason of a timeout.
    pub fn stage(&self) -> String {
        match (self.ready, self.started, &self.finished) {
            (_, _, Some(_)) => "had finished but not exited".to_owned(),
            (false, ..) => "was not ready".to_owned(),
            (true, None, _) => "was ready and waited for others".to_owned(),
            (true, Some(_), _) => format!("had told of {} steps", self.steps),
        }
    }

    /// Steps that it has told of, warm-up included.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Asked of one that is over.
    ///
    /// # Errors
    /// Why it has not succeeded: success is a finished event and exit status 0.
    pub fn verdict(&self) -> Result<(), String> {
        let exit = match self.exit.as_ref().expect("only who is over is judged") {
            Ok(status) => status,
            Err(error) => return Err(format!("ended, and its exit status was lost: {error}")),
        };
        let before = match (self.ready, &self.finished) {
            (_, Some(_)) if exit.success() => return Ok(()),
            (_, Some(_)) => "after its finished event",
            (true, None) => "without a finished event",
            (false, None) => "before it was ready",
        };
        let hint = if exit.signal() == Some(9) {
            " (out of memory?)"
        } else {
            ""
        };
        Err(format!("ended with {exit}{hint} {before}"))
    }

    /// What it has told, once it has finished.
    pub fn into_result(self) -> Option<WorkerResult> {
        let (started, (report, finished)) = (self.started?, self.finished?);
        Some(WorkerResult {
            windows: self.windows,
            replicas: self.replicas,
            report,
            wall_seconds: (finished - started).as_secs_f64(),
        })
    }
}

fn wrong_ready(ready: bool, protocol: u32) -> String {
    if ready {
        return "was ready twice".to_owned();
    }
    format!(
        "speaks version {protocol} of the protocol and this harness version {VERSION}: \
         build both from the same sources"
    )
}

/// `text` on one line and without control characters.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join(" | ");
    joined.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::fixture::settings;

    fn ready() -> Event {
        Event::Ready {
            protocol: VERSION,
            program: "test".into(),
            address: None,
        }
    }

    fn started() -> Role {
        let mut role = Role::new(
            &Settings {
                steps: 1,
                ..settings()
            },
            1,
        );
        role.take(ready()).unwrap();
        role.start();
        role
    }

    #[test]
    fn success_is_a_finished_event_and_status_zero() {
        let mut role = started();
        role.take(Event::Finished(WorkerReport::default())).unwrap();
        assert!(role.ending_since().is_some() && !role.is_over());
        role.exit(Ok(ExitStatus::from_raw(0)));
        assert_eq!(
            role.lingers(),
            "left a process outside its group that holds its output open"
        );
        role.close();
        assert!(role.is_over() && role.ending_since().is_none());
        assert_eq!(role.verdict(), Ok(()));
        assert!(role.into_result().is_some());
    }

    #[test]
    fn every_other_end_has_a_reason() {
        let mut role = started();
        role.exit(Ok(ExitStatus::from_raw(0)));
        assert_eq!(
            role.verdict().unwrap_err(),
            "ended with exit status: 0 without a finished event"
        );
        role.exit(Ok(ExitStatus::from_raw(9)));
        assert_eq!(
            role.verdict().unwrap_err(),
            "ended with signal: 9 (SIGKILL) (out of memory?) without a finished event"
        );
        role.take(Event::Finished(WorkerReport::default())).unwrap();
        role.exit(Ok(ExitStatus::from_raw(1 << 8)));
        assert_eq!(
            role.verdict().unwrap_err(),
            "ended with exit status: 1 after its finished event"
        );
        let mut early = Role::new(&settings(), 1);
        early.exit(Ok(ExitStatus::from_raw(3 << 8)));
        assert_eq!(
            early.verdict().unwrap_err(),
            "ended with exit status: 3 before it was ready"
        );
        let mut lost = started();
        lost.take(Event::Finished(WorkerReport::default())).unwrap();
        lost.exit(Err("no child processes".to_owned()));
        assert_eq!(
            lost.verdict().unwrap_err(),
            "ended, and its exit status was lost: no child processes"
        );
    }

    #[test]
    fn events_out_of_turn_are_refused() {
        let mut role = Role::new(&settings(), 1);
        let early = role.take(Event::Step(StepWindow::default())).unwrap_err();
        assert_eq!(early, "sent events before it was started");
        let other = Event::Ready {
            protocol: 99,
            program: String::new(),
            address: None,
        };
        assert!(
            role.take(other)
                .unwrap_err()
                .starts_with("speaks version 99 of the protocol")
        );
        role.take(ready()).unwrap();
        assert_eq!(role.take(ready()).unwrap_err(), "was ready twice");
        let mut role = started();
        role.take(Event::Step(StepWindow::default())).unwrap();
        let surplus = role.take(Event::Step(StepWindow::default())).unwrap_err();
        assert_eq!(surplus, "sent more steps or replicas than it was asked for");
    }

    #[test]
    fn replicas_that_do_not_exist_are_refused() {
        let window = StepWindow {
            replica: 1,
            ..StepWindow::default()
        };
        let report = ReplicaReport {
            replica: usize::MAX,
            ..ReplicaReport::default()
        };
        assert_eq!(
            started().take(Event::Step(window)).unwrap_err(),
            "told of replica 1, which it does not have"
        );
        assert_eq!(
            started().take(Event::Replica(report)).unwrap_err(),
            format!("told of replica {}, which it does not have", usize::MAX)
        );
    }

    #[test]
    fn a_reason_of_a_worker_becomes_one_line() {
        let failed = Event::Failed {
            reason: "no\n\n  \x1b[1mmemory\n".into(),
            waiting: None,
        };
        assert_eq!(
            started().take(failed).unwrap_err(),
            "failed: no | [1mmemory"
        );
    }
}
