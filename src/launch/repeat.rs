//! One repeat from launch to result: handshake, deadlines and endings. In: a request. Out: a result
//! in bounded time, with no process left. Does not judge what the workers measured.

mod ending;

use super::cast::{self, Name, Part};
use super::diagnosis::{Trouble, diagnose};
use super::events::Message;
use super::guard::Guard;
use super::interrupt::{Interrupt, Stage};
use super::process::{Launch, Process};
use super::role::Role;
use super::slots::uuids;
use super::{Interrupted, ProbeError, RepeatRequest, RepeatResult, Update};
use super::{asked, evidence, measured};
use crate::protocol::{Ceiling, Command};
use crate::terms::{Outcome, RoleName, Topology};
use ending::{Ending, Pace};
use serde::Serialize;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep_until};

/// Messages that wait for the harness before workers have to wait to send more.
const QUEUED_MESSAGES: usize = 256;

type Messages = Sender<(usize, Message)>;

/// A set of processes that is under way. Each has the same index everywhere.
struct Repeat<'a> {
    request: &'a RepeatRequest<'a>,
    guard: &'a mut Guard,
    launched: Instant,
    parts: Vec<Part>,
    processes: Vec<Process>,
    roles: Vec<Role>,
    /// By index, in the order in which they were learned; at most one of each process.
    troubles: Vec<(usize, Trouble)>,
    leftovers: usize,
    ending: Option<Ending>,
    pace: Pace,
    stage: Stage,
    finish_by: Option<Instant>,
    /// Of the first worker.
    shown_steps: u64,
}

/// How processes ended that the user did not stop.
struct Ended {
    seconds: f64,
    /// All that they have told if they succeeded; else what went wrong, in one line.
    roles: Result<Vec<Role>, (Outcome, String)>,
    /// Process groups, in the same order.
    groups: Vec<i32>,
}

/// Runs one repeat.
pub async fn run(
    request: &RepeatRequest<'_>,
    guard: &mut Guard,
    interrupt: &mut Interrupt,
    show: &mut dyn FnMut(Update),
) -> Result<RepeatResult, Interrupted> {
    let parts = cast::of_cell(request.settings, request.slots);
    let ended = perform(request, parts, (guard, interrupt), show).await?;
    Ok(match ended.roles {
        Ok(roles) => judged(request, (roles, &ended.groups), ended.seconds),
        Err((outcome, reason)) => RepeatResult {
            outcome,
            reason,
            seconds: ended.seconds,
            measured: None,
            workers: Vec::new(),
            servers: Vec::new(),
        },
    })
}

/// Runs one probe on the cores of a cell.
pub async fn probe(
    request: &RepeatRequest<'_>,
    guard: &mut Guard,
    interrupt: &mut Interrupt,
) -> Result<Vec<Ceiling>, ProbeError> {
    let parts = cast::of_probe(request.slots);
    let ended = perform(request, parts, (guard, interrupt), &mut |_| ()).await?;
    let roles = ended
        .roles
        .map_err(|(_, reason)| ProbeError::Failed(reason))?;
    Ok(roles.into_iter().flat_map(Role::into_ceilings).collect())
}

/// Starts a process for each part, and sees them to their end.
async fn perform(
    request: &RepeatRequest<'_>,
    parts: Vec<Part>,
    (guard, interrupt): (&mut Guard, &mut Interrupt),
    show: &mut dyn FnMut(Update),
) -> Result<Ended, Interrupted> {
    if interrupt.stage() != Stage::Run {
        return Err(Interrupted);
    }
    let mut repeat = Repeat::new(request, parts, guard);
    let (sender, messages) = mpsc::channel(QUEUED_MESSAGES);
    repeat.launch(sender);
    repeat.drive(messages, interrupt, show).await;
    repeat.settle().await;
    repeat.conclude()
}

impl<'a> Repeat<'a> {
    fn new(request: &'a RepeatRequest<'a>, parts: Vec<Part>, guard: &'a mut Guard) -> Self {
        Self {
            request,
            guard,
            launched: Instant::now(),
            parts,
            processes: Vec::new(),
            roles: Vec::new(),
            troubles: Vec::new(),
            leftovers: 0,
            ending: None,
            pace: Pace::Run,
            stage: Stage::Run,
            finish_by: None,
            shown_steps: 0,
        }
    }

    /// Starts every process and gives it its job. `to` is dropped here, so that the channel ends
    /// with the last process.
    fn launch(&mut self, to: Messages) {
        let started = cast::token().and_then(|token| {
            (0..self.parts.len()).try_for_each(|index| self.spawn(index, &token, &to))
        });
        if let Err(error) = started {
            let program = self.request.program.path.display();
            let text = format!("could not be started from {program}: {error}");
            // The one whose start failed, which may run without a guard.
            let index = self.roles.len().min(self.parts.len() - 1);
            self.fail(index, Trouble::Broke(text));
        }
    }

    fn spawn(&mut self, index: usize, token: &str, to: &Messages) -> std::io::Result<()> {
        let part = &self.parts[index];
        let launch = Launch {
            program: self.request.program,
            index,
            threads: part.threads,
            gpus: &uuids(&part.devices).join(","),
            log: &part.log(self.request.log),
        };
        let process = Process::spawn(&launch, to)?;
        let watched = self.guard.watch(process.group);
        process.send(line(&part.job(self.request, token)));
        self.processes.push(process);
        self.roles.push(Role::new(self.request.settings, part));
        watched
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
                    Some((index, message)) => self.take(index, message, show),
                    None => return,
                },
                () = sleep_until(self.deadline()) => if self.overdue() { return },
                stage = interrupt.after(self.stage) => self.interrupted(stage, show),
            }
        }
    }

    fn take(&mut self, index: usize, message: Message, show: &mut dyn FnMut(Update)) {
        match message {
            // What a process in trouble says after it is of no interest.
            Message::Event(_) if self.is_in_trouble(index) => {}
            Message::Event(event) => match self.roles[index].take(event) {
                Ok(()) => self.proceed(index, show),
                Err(trouble) => self.fail(index, trouble),
            },
            Message::Garbage(line) => {
                let text = format!("printed something that is not an event: {line}");
                self.fail(index, Trouble::Broke(text));
                self.roles[index].close();
            }
            Message::Closed => self.roles[index].close(),
            Message::Exited(status) => {
                self.leftovers += self.processes[index].kill_leftovers();
                // A guard that is gone is noticed by the next launch.
                let _ = self.guard.release(self.processes[index].group);
                self.roles[index].exit(status.map_err(|error| error.to_string()));
            }
        }
        if self.roles[index].is_over()
            && let Err(trouble) = self.roles[index].verdict()
        {
            self.fail(index, trouble);
        }
        self.hear();
    }

    fn is_in_trouble(&self, index: usize) -> bool {
        self.troubles.iter().any(|(who, _)| *who == index)
    }

    /// Starts all processes once all are ready, and shows how far the first worker is.
    fn proceed(&mut self, index: usize, show: &mut dyn FnMut(Update)) {
        let all_there = self.roles.len() == self.parts.len();
        let ready = all_there && self.roles.iter().all(Role::is_ready);
        if ready && !self.roles[index].is_started() {
            show(Update::Ready);
            self.start();
        }
        // Not at what it tells when the steps are over.
        if index == 0 && self.roles[0].steps() > self.shown_steps {
            self.shown_steps = self.roles[0].steps();
            show(Update::Steps(self.shown_steps));
        }
    }

    /// Tells each process where those are that it calls.
    fn start(&mut self) {
        let called = match self.request.settings.topology {
            Topology::ParameterServer => RoleName::Server,
            _ => RoleName::Worker,
        };
        let listening = self.parts.iter().zip(&self.roles);
        let listening = listening.filter(|(part, _)| part.name.role == called);
        let addresses: Vec<String> = listening
            .filter_map(|(_, role)| role.address().map(str::to_owned))
            .collect();
        let all = self.roles.iter_mut().zip(&self.processes);
        for ((role, process), part) in all.zip(&self.parts) {
            role.start();
            let peers = match part.name.role {
                RoleName::Worker => addresses.clone(),
                RoleName::Server | RoleName::Probe => Vec::new(),
            };
            process.send(line(&Command::Start { peers }));
        }
    }

    fn conclude(mut self) -> Result<Ended, Interrupted> {
        let seconds = self.launched.elapsed().as_secs_f64();
        let left = self.leftovers;
        let failed = |reason| Err((Outcome::Failed, reason));
        let roles = match self.ending.take() {
            Some(Ending::Interrupted) => Err(Interrupted),
            Some(Ending::TimedOut { culprit, text }) => {
                Ok(Err((Outcome::TimedOut, self.reason(culprit, text))))
            }
            Some(Ending::Fault) => {
                let names: Vec<Name> = self.parts.iter().map(|part| part.name).collect();
                let diagnosis = diagnose(&names, &self.troubles, self.step());
                Ok(failed(self.reason(diagnosis.culprit, diagnosis.text)))
            }
            None if left > 0 => Ok(failed(format!("left {left} process(es) behind, killed"))),
            None => Ok(Ok(std::mem::take(&mut self.roles))),
        };
        self.processes.iter().for_each(Process::let_go);
        let groups = self.processes.iter();
        let groups = groups.map(|process| process.group.as_raw_nonzero().get());
        let groups = groups.collect();
        roles.map(|roles| Ended {
            seconds,
            roles,
            groups,
        })
    }

    /// How far processes are that work together, as far as they have told.
    fn step(&self) -> Option<u64> {
        let told = self.roles.iter().map(Role::steps);
        let waited = self
            .troubles
            .iter()
            .filter_map(|(_, trouble)| match trouble {
                Trouble::Lost(waiting) => Some(waiting.step),
                _ => None,
            });
        let step = told.chain(waited).max().filter(|step| *step > 0);
        step.filter(|_| self.works_together())
    }

    fn works_together(&self) -> bool {
        self.parts.len() > 1 && asked::linked(self.request.settings)
    }

    /// One line: what went wrong, and the end of what the culprit wrote to stderr.
    fn reason(&self, culprit: usize, mut reason: String) -> String {
        let given_up = self.roles.iter().position(|role| !role.has_exited());
        if let Some(index) = given_up {
            reason += &format!("; {} could not be killed", self.parts[index].name);
        }
        let process = self.processes.get(culprit);
        match process.map(Process::stderr_tail).as_deref() {
            None | Some("") => reason,
            Some(tail) => format!("{reason}; stderr: {tail}"),
        }
    }
}

/// The result of a repeat whose processes all succeeded, if what they say holds together.
fn judged(
    request: &RepeatRequest<'_>,
    (mut roles, groups): (Vec<Role>, &[i32]),
    seconds: f64,
) -> RepeatResult {
    let servers = roles.split_off(request.slots.workers.len());
    let workers = roles.into_iter().zip(groups);
    let workers: Option<Vec<_>> = workers
        .map(|(role, group)| role.into_worker(*group))
        .collect();
    let servers: Option<Vec<_>> = servers.into_iter().map(Role::into_server).collect();
    let workers = workers.expect("without a fault every worker has finished");
    let servers = servers.expect("without a fault every server has finished");
    let verdict = evidence::check(request.settings, request.slots, &workers, &servers);
    let measure = || measured::measure(request.settings, &workers, &servers, seconds);
    RepeatResult {
        outcome: verdict
            .as_ref()
            .map_or(Outcome::WrongResult, |()| Outcome::Completed),
        measured: verdict.is_ok().then(measure),
        reason: verdict.err().unwrap_or_default(),
        seconds,
        workers,
        servers,
    }
}

fn line(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("jobs and commands are plain data")
}
