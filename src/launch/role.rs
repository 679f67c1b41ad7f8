//! What one process has said so far. In: its events, the end of its stdout, its exit status. Out:
//! whether it may say that now, whether it is over, and what went wrong. Pure; knows no process.

mod told;

use super::cast::Part;
use super::diagnosis::Trouble;
use super::{ServerResult, WorkerResult};
use crate::protocol::{Ceiling, Event, ServerReport, VERSION, Waiting, WorkerReport};
use crate::spec::settings::Settings;
use crate::terms::RoleName;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Instant;
use told::Told;

/// No address is longer: NCCL's has 128 bytes, in hexadecimal digits.
const ADDRESS_BYTES: usize = 256;
/// No wait is longer, whatever a process says of it, in seconds.
const LONGEST_SILENCE: f64 = 1e6;

/// The harness's picture of one process.
#[derive(Debug)]
pub struct Role {
    name: RoleName,
    /// Whether it has to tell where others can call it.
    listens: bool,
    linked: bool,
    ready: bool,
    address: Option<String>,
    started: Option<Instant>,
    told: Told,
    last: Option<(LastWord, Instant)>,
    closed: bool,
    /// How its process has ended, or why nobody can tell.
    exit: Option<Result<ExitStatus, String>>,
    /// Since when it should be gone: its last word, or the end of its process.
    ending_since: Option<Instant>,
}

/// The event of a process that did its work.
#[derive(Debug)]
enum LastWord {
    Finished(WorkerReport),
    Served(ServerReport),
}

impl Role {
    /// A process that has said nothing yet.
    pub fn new(settings: &Settings, part: &Part) -> Self {
        Self {
            name: part.name.role,
            listens: part.listens,
            linked: !part.peers.is_empty(),
            ready: false,
            address: None,
            started: None,
            told: Told::nothing(settings, part),
            last: None,
            closed: false,
            exit: None,
            ending_since: None,
        }
    }

    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Where others can call it.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
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
    pub fn take(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            _ if self.last.is_some() => Err(Trouble::Broke(
                "went on after its finished event".to_owned(),
            )),
            Event::Failed { reason, waiting } => Err(self.failed(&reason, waiting)),
            Event::Ready {
                protocol, address, ..
            } => self.get_ready(protocol, address).map_err(Trouble::Broke),
            _ if self.started.is_none() => {
                Err(Trouble::Broke("sent events before it was started".into()))
            }
            Event::Finished(report) if self.name != RoleName::Server => {
                self.end(LastWord::Finished(report));
                Ok(())
            }
            Event::Served(report) if self.name == RoleName::Server => {
                self.end(LastWord::Served(report));
                Ok(())
            }
            other => self.told.take(other).map_err(Trouble::Broke),
        }
    }

    fn failed(&self, reason: &str, waiting: Option<Waiting>) -> Trouble {
        match waiting {
            Some(waiting) if self.linked => Trouble::Lost(Waiting {
                silent_seconds: waiting
                    .silent_seconds
                    .map(|seconds| seconds.clamp(0.0, LONGEST_SILENCE)),
                ..waiting
            }),
            _ => Trouble::Failed(one_line(reason)),
        }
    }

    fn get_ready(&mut self, protocol: u32, address: Option<String>) -> Result<(), String> {
        if self.ready {
            return Err("was ready twice".to_owned());
        }
        if protocol != VERSION {
            return Err(format!(
                "speaks version {protocol} of the protocol and this harness version {VERSION}: \
                 build both from the same sources"
            ));
        }
        match address.as_ref().map(String::len) {
            None | Some(0) if self.listens => {
                return Err("was ready without an address that others can call".to_owned());
            }
            Some(bytes) if bytes > ADDRESS_BYTES => {
                return Err(format!("told an address of {bytes} bytes"));
            }
            _ => self.address = address.filter(|_| self.listens),
        }
        self.ready = true;
        Ok(())
    }

    fn end(&mut self, word: LastWord) {
        let now = Instant::now();
        self.last = Some((word, now));
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

    /// True when it has said its last word, or can say none.
    pub fn has_spoken(&self) -> bool {
        self.last.is_some() || self.is_over()
    }

    /// Since when it should be gone and is not.
    pub fn ending_since(&self) -> Option<Instant> {
        self.ending_since.filter(|_| !self.is_over())
    }

    /// What it does instead of being gone.
    pub fn lingers(&self) -> &'static str {
        match (&self.exit, &self.last) {
            (Some(_), _) => "left a process outside its group that holds its output open",
            (None, Some(_)) => "finished and did not exit",
            (None, None) => "closed its output and did not exit",
        }
    }

    /// How far it has come, for the reason of a timeout.
    pub fn stage(&self) -> String {
        match (self.ready, self.started, &self.last) {
            _ if self.is_over() => "had ended".to_owned(),
            (_, _, Some(_)) => "had finished but not exited".to_owned(),
            (false, ..) => "was not ready".to_owned(),
            (true, None, _) => "was ready and waited for others".to_owned(),
            (true, Some(_), _) if self.name != RoleName::Worker => "was at work".to_owned(),
            (true, Some(_), _) => format!("had told of {} steps", self.told.steps),
        }
    }

    /// Steps that it has told of, warm-up included.
    pub fn steps(&self) -> u64 {
        self.told.steps
    }

    /// Asked of one that is over.
    ///
    /// # Errors
    /// Why it has not succeeded: success is a finished event and exit status 0.
    pub fn verdict(&self) -> Result<(), Trouble> {
        let exit = match self.exit.as_ref().expect("only who is over is judged") {
            Ok(status) => status,
            Err(error) => {
                let text = format!("ended, and its exit status was lost: {error}");
                return Err(Trouble::Broke(text));
            }
        };
        let when = match (self.ready, &self.last) {
            (_, Some(_)) if exit.success() => return Ok(()),
            (_, Some(_)) => "after its finished event",
            (true, None) => "without a finished event",
            (false, None) => "before it was ready",
        };
        let hint = match exit.signal() {
            Some(9) => "(out of memory?) ",
            _ => "",
        };
        Err(Trouble::Ended {
            how: format!("ended with {exit}"),
            when: format!("{hint}{when}"),
        })
    }

    /// What a worker of this process group has told, once it has finished.
    pub fn into_worker(self, group: i32) -> Option<WorkerResult> {
        let (LastWord::Finished(report), finished) = self.last? else {
            return None;
        };
        Some(WorkerResult {
            windows: self.told.windows,
            replicas: self.told.replicas,
            links: self.told.links,
            report,
            group,
            wall_seconds: (finished - self.started?).as_secs_f64(),
        })
    }

    /// What a server has told, once it has finished.
    pub fn into_server(self) -> Option<ServerResult> {
        let (LastWord::Served(report), finished) = self.last? else {
            return None;
        };
        Some(ServerResult {
            report,
            wall_seconds: (finished - self.started?).as_secs_f64(),
        })
    }

    /// What a probe has told.
    pub fn into_ceilings(self) -> Vec<Ceiling> {
        self.told.ceilings
    }
}

/// `text` on one line and without control characters.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join(" | ");
    joined.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests;
