//! A process that trains. In: a [`Job`] on stdin. Out: events on stdout.
//! Knows no TOML, no sweep and no other cell; it never schedules.
//!
//! Reading order: [`orders`] and [`events`] are the two pipes to the harness, [`replica`] puts the
//! parts of one replica together, [`step_loop`] runs them, [`exchange`] joins replicas.

pub mod clock;
pub mod cores;
pub mod events;
pub mod exchange;
pub mod input;
pub mod layer;
pub mod model;
pub mod optimizer;
pub mod orders;
pub mod parameters;
pub mod replica;
pub mod resources;
pub mod step_loop;

use crate::protocol::{Event, Job, VERSION, WorkerReport};
use crate::terms::Topology;
use anyhow::{Context, Result, ensure};
use replica::{Built, Outcome};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// The whole life of a worker process. `program` is the identity that the build embedded.
pub fn main(program: &str) -> ExitCode {
    match train(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            events::fail(&error);
            ExitCode::FAILURE
        }
    }
}

fn train(program: &str) -> Result<()> {
    let mut orders = orders::Orders::listen();
    let job = orders.job()?;
    check(&job)?;
    let replicas = replica::build(&job)?;
    events::emit(&Event::Ready {
        protocol: VERSION,
        program: program.to_owned(),
        address: None,
    });
    orders.start()?;
    let started = Instant::now();
    let outcomes = run(replicas, started)?;
    report(&job, &outcomes, started);
    Ok(())
}

/// Refuses what a harness of another version might ask for.
fn check(job: &Job) -> Result<()> {
    ensure!(
        job.protocol == VERSION,
        "the harness speaks protocol {}, this worker speaks {VERSION}: use the same build of xrun for both",
        job.protocol
    );
    let topology = job.settings.topology;
    ensure!(
        matches!(
            topology,
            Topology::Single | Topology::Replicated | Topology::Independent
        ),
        "topology {topology} is not built into this version"
    );
    ensure!(!job.devices.is_empty(), "the job names no device");
    Ok(())
}

/// Runs every replica on a thread of its own until all have ended. The first failure ends the
/// process at once, since other replicas may wait for the failed one for ever.
fn run(replicas: Vec<Built>, started: Instant) -> Result<Vec<Outcome>> {
    let run_or_abort =
        move |replica: Built| match catch_unwind(AssertUnwindSafe(|| replica.run(started))) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => events::abort(&error),
            Err(_) => events::abort(&anyhow::anyhow!(
                "a replica panicked; the log of this repeat has the message"
            )),
        };
    let start = |replica: Built| {
        let thread = std::thread::Builder::new().name(format!("replica-{}", replica.number()));
        thread
            .spawn(move || run_or_abort(replica))
            .context("starting the thread of a replica")
    };
    let threads = replicas
        .into_iter()
        .map(start)
        .collect::<Result<Vec<_>>>()?;
    let join = |thread: std::thread::JoinHandle<Outcome>| {
        thread
            .join()
            .expect("a replica ends the process or returns")
    };
    Ok(threads.into_iter().map(join).collect())
}

/// Sends what was measured, off the clock: windows first, then evidence, `Finished` last.
fn report(job: &Job, outcomes: &[Outcome], started: Instant) {
    for outcome in outcomes {
        for window in &outcome.windows {
            events::emit(&Event::Step(*window));
        }
        events::emit(&Event::Replica(outcome.report.clone()));
    }
    let first = outcomes
        .iter()
        .map(|outcome| outcome.measured_from)
        .min()
        .unwrap_or(started);
    let last = outcomes
        .iter()
        .map(|outcome| outcome.measured_until)
        .max()
        .unwrap_or(started);
    let largest = |seconds: fn(&Outcome) -> f64| outcomes.iter().map(seconds).fold(0.0, f64::max);
    events::emit(&Event::Finished(WorkerReport {
        steps: job.settings.steps,
        measured_from_seconds: (first - started).as_secs_f64(),
        elapsed_seconds: (last - first).as_secs_f64(),
        startup_seconds: largest(|outcome| outcome.startup_seconds),
        prefill_seconds: largest(|outcome| outcome.prefill_seconds),
        first_step_seconds: largest(|outcome| outcome.first_step_seconds),
        exchanged_bytes: outcomes.iter().map(|outcome| outcome.exchanged_bytes).sum(),
        peak_memory_bytes: resources::peak_memory_bytes(),
        cpu_seconds: resources::cpu_seconds(),
        convolutions: outcomes[0].convolutions.clone(),
    }));
}
