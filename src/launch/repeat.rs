//! One repeat from launch to result: handshake, deadlines and endings. In: a request. Out: a result
//! in bounded time, with no process left. Does not judge what the workers measured.

mod ending;

use super::events::Message;
use super::guard::Guard;
use super::interrupt::{Interrupt, Stage};
use super::process::{Launch, Process};
use super::role::Role;
use super::{Interrupted, RepeatRequest, RepeatResult, Update, WorkerResult, evidence, measured};
use crate::protocol::{Command, Job, VERSION};
use crate::terms::{Outcome, RoleName};
use ending::{Ending, Fault, Pace};
use serde::Serialize;
use std::path::PathBuf;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep_until};

/// Messages that wait for the harness before workers have to wait to send more.
const QUEUED_MESSAGES: usize = 256;

type Messages = Sender<(usize, Message)>;

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
    repeat.settle().await;
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
            role: RoleName::Worker,
            rank,
            token: String::new(),
            checkpoints: None,
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
                self.roles[rank].exit(status.map_err(|error| error.to_string()));
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
        self.processes.iter().for_each(Process::let_go);
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
