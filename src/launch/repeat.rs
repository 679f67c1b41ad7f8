//! One repeat from launch to result: handshake, deadlines and endings. In: a request. Out: a result
//! in bounded time, with no process left. Does not judge what the workers measured.

use super::events::Message;
use super::guard::Guard;
use super::interrupt::{Interrupt, Stage};
use super::process::{Launch, Process};
use super::role::Role;
use super::{Interrupted, RepeatRequest, RepeatResult, Update, WorkerResult, evidence, measured};
use crate::protocol::{Command, Job, VERSION};
use crate::terms::Outcome;
use crate::units::Seconds;
use rustix::process::Signal;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep_until};

/// A worker that has said its last word, or closed its stdout, must be gone after this.
const LINGER: Duration = Duration::from_secs(5);
/// After the first Ctrl-C the running repeat may go on for so long.
const FINISH_GRACE: Duration = Duration::from_secs(10);
/// Between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_millis(500);
/// A process that survives SIGKILL for so long hangs in the kernel and is given up.
const KILL_BOUND: Duration = Duration::from_secs(5);
/// Messages that wait for the harness before workers have to wait to send more.
const QUEUED_MESSAGES: usize = 256;

type Messages = Sender<(usize, Message)>;

/// How the repeat is being ended before its workers end by themselves.
#[derive(Debug)]
enum Ending {
    Fault(Fault),
    Interrupted,
}

/// What went wrong first.
#[derive(Debug)]
struct Fault {
    outcome: Outcome,
    rank: usize,
    text: String,
}

/// What is done about processes that still run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    Run,
    /// SIGTERM was sent; SIGKILL follows then.
    Asked(Instant),
    /// SIGKILL was sent; nothing more is waited for then.
    Killed(Instant),
}

/// A repeat that is under way.
struct Repeat<'a> {
    request: &'a RepeatRequest<'a>,
    guard: &'a mut Guard,
    launched: Instant,
    /// By rank.
    processes: Vec<Process>,
    roles: Vec<Role>,
    leftovers: usize,
    ending: Option<Ending>,
    pace: Pace,
    stage: Stage,
    finish_by: Option<Instant>,
}

/// Runs one repeat.
pub async fn run(
    request: &RepeatRequest<'_>,
    guard: &mut Guard,
    interrupt: &mut Interrupt,
    show: &mut dyn FnMut(Update),
) -> Result<RepeatResult, Interrupted> {
    if interrupt.stage() != Stage::Run {
        return Err(Interrupted);
    }
    let mut repeat = Repeat::new(request, guard);
    let (sender, messages) = mpsc::channel(QUEUED_MESSAGES);
    repeat.launch(sender);
    repeat.drive(messages, interrupt, show).await;
    repeat.conclude()
}

impl<'a> Repeat<'a> {
    fn new(request: &'a RepeatRequest<'a>, guard: &'a mut Guard) -> Self {
        Self {
            request,
            guard,
            launched: Instant::now(),
            processes: Vec::new(),
            roles: Vec::new(),
            leftovers: 0,
            ending: None,
            pace: Pace::Run,
            stage: Stage::Run,
            finish_by: None,
        }
    }

    /// Starts every worker and gives it its job. `to` is dropped here, so that the channel ends
    /// with the last process.
    fn launch(&mut self, to: Messages) {
        for rank in 0..self.request.slots.workers.len() {
            if let Err(error) = self.spawn(rank, &to) {
                let program = self.request.program.path.display();
                self.fail(
                    rank,
                    format!("could not be started from {program}: {error}"),
                );
                return;
            }
        }
    }

    fn spawn(&mut self, rank: usize, to: &Messages) -> std::io::Result<()> {
        let launch = Launch {
            program: self.request.program,
            rank,
            threads: self.request.settings.device_threads,
            log: &self.log(rank),
        };
        let process = Process::spawn(&launch, to)?;
        let watched = self.guard.watch(process.group);
        process.send(line(&self.job(rank)));
        self.processes.push(process);
        self.roles.push(Role::new(
            self.request.settings,
            self.request.slots.workers[rank].len(),
        ));
        watched
    }

    fn log(&self, rank: usize) -> PathBuf {
        let mut name = self.request.log.as_os_str().to_owned();
        name.push(format!(".rank{rank}.log"));
        PathBuf::from(name)
    }

    fn job(&self, rank: usize) -> Job {
        Job {
            protocol: VERSION,
            rank,
            world_size: self.request.slots.workers.len(),
            settings: self.request.settings.clone(),
            devices: self.request.slots.workers[rank].clone(),
            cache: self.request.cache.to_owned(),
        }
    }

    /// Takes messages until every process is over or given up.
    async fn drive(
        &mut self,
        mut messages: Receiver<(usize, Message)>,
        interrupt: &mut Interrupt,
        show: &mut dyn FnMut(Update),
    ) {
        while !self.roles.iter().all(Role::is_over) {
            tokio::select! {
                message = messages.recv() => match message {
                    Some((rank, message)) => self.take(rank, message, show),
                    None => return,
                },
                () = sleep_until(self.deadline()) => if self.overdue() { return },
                stage = interrupt.after(self.stage) => self.interrupted(stage, show),
            }
        }
    }

    fn take(&mut self, rank: usize, message: Message, show: &mut dyn FnMut(Update)) {
        match message {
            Message::Event(event) => match self.roles[rank].take(event) {
                Ok(()) => self.proceed(rank, show),
                Err(text) => self.fail(rank, text),
            },
            Message::Garbage(line) => {
                self.fail(
                    rank,
                    format!("printed something that is not an event: {line}"),
                );
                self.roles[rank].close();
            }
            Message::Closed => self.roles[rank].close(),
            Message::Exited(status) => {
                self.leftovers += self.processes[rank].kill_leftovers();
                // A guard that is gone is noticed by the next launch.
                let _ = self.guard.release(self.processes[rank].group);
                self.roles[rank].exit(status.unwrap_or_default());
            }
        }
        if self.roles[rank].is_over()
            && let Err(text) = self.roles[rank].verdict()
        {
            self.fail(rank, text);
        }
    }

    /// Starts all workers once all are ready, and shows how far rank 0 is.
    fn proceed(&mut self, rank: usize, show: &mut dyn FnMut(Update)) {
        let waiting = self.roles.iter().any(|role| !role.ready);
        if !waiting && !self.roles[rank].is_started() {
            for (role, process) in self.roles.iter_mut().zip(&self.processes) {
                role.start();
                process.send(line(&Command::Start { peers: Vec::new() }));
            }
        }
        if rank == 0 && self.roles[0].steps() > 0 {
            show(Update::Steps(self.roles[0].steps()));
        }
    }

    fn deadline(&self) -> Instant {
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
        self.launched + self.request.settings.timeout
    }

    /// A deadline has passed. True when what still runs has to be given up.
    fn overdue(&mut self) -> bool {
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

    fn interrupted(&mut self, stage: Stage, show: &mut dyn FnMut(Update)) {
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
    fn fail(&mut self, rank: usize, text: String) {
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

    /// To the groups whose leader runs: only then their number is surely theirs.
    fn signal(&self, signal: Signal) {
        let running = self
            .roles
            .iter()
            .zip(&self.processes)
            .filter(|(role, _)| !role.has_exited());
        running.for_each(|(_, process)| process.signal(signal));
    }

    fn conclude(mut self) -> Result<RepeatResult, Interrupted> {
        let seconds = self.launched.elapsed().as_secs_f64();
        let failed = |outcome, reason| RepeatResult {
            outcome,
            reason,
            seconds,
            measured: None,
            workers: Vec::new(),
        };
        let left = self.leftovers;
        let result = match self.ending.take() {
            Some(Ending::Interrupted) => Err(Interrupted),
            Some(Ending::Fault(fault)) => Ok(failed(fault.outcome, self.reason(&fault))),
            None if left > 0 => Ok(failed(
                Outcome::Failed,
                format!("left {left} process(es) behind, killed"),
            )),
            None => Ok(judged(
                self.request,
                std::mem::take(&mut self.roles),
                seconds,
            )),
        };
        self.processes.iter().for_each(Process::remove_empty_log);
        result
    }

    /// One line: which rank, what it did, and the end of what it wrote to stderr.
    fn reason(&self, fault: &Fault) -> String {
        let mut reason = format!("rank {} {}", fault.rank, fault.text);
        let given_up = self.roles.iter().position(|role| !role.has_exited());
        if let Some(rank) = given_up {
            reason += &format!("; rank {rank} could not be killed");
        }
        match self
            .processes
            .get(fault.rank)
            .map(Process::stderr_tail)
            .as_deref()
        {
            None | Some("") => reason,
            Some(tail) => format!("{reason}; stderr: {tail}"),
        }
    }
}

/// The result of a repeat whose workers all succeeded, if what they say holds together.
fn judged(request: &RepeatRequest<'_>, roles: Vec<Role>, seconds: f64) -> RepeatResult {
    let workers: Option<Vec<WorkerResult>> = roles.into_iter().map(Role::into_result).collect();
    let workers = workers.expect("without a fault every worker has finished");
    let verdict = evidence::check(request.settings, request.slots, &workers);
    RepeatResult {
        outcome: verdict
            .as_ref()
            .map_or(Outcome::WrongResult, |()| Outcome::Completed),
        measured: verdict
            .is_ok()
            .then(|| measured::measure(request.settings, &workers, seconds)),
        reason: verdict.err().unwrap_or_default(),
        seconds,
        workers,
    }
}

fn line(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("jobs and commands are plain data")
}
