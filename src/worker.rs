//! A process that trains. In: a [`Job`](crate::protocol::Job) on stdin. Out: events on stdout.
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
use crate::terms::{ModelName, Topology};
use anyhow::{Context, Result, ensure};
use replica::{Built, Outcome};
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
    let outcomes = run(replicas)?;
    report(&job, &outcomes);
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
fn run(replicas: Vec<Built>) -> Result<Vec<Outcome>> {
    let started = Instant::now();
    let threads: Vec<_> = replicas
        .into_iter()
        .map(|replica| {
            std::thread::Builder::new()
                .name(format!("replica-{}", replica.number()))
                .spawn(move || {
                    replica
                        .run(started)
                        .unwrap_or_else(|error| events::abort(&error))
                })
                .context("starting the thread of a replica")
        })
        .collect::<Result<_>>()?;
    threads
        .into_iter()
        .map(|thread| {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a replica panicked; its log has the message"))
        })
        .collect()
}

/// Sends what was measured, off the clock: windows first, then evidence, `Finished` last.
fn report(job: &Job, outcomes: &[Outcome]) {
    for outcome in outcomes {
        for window in &outcome.windows {
            events::emit(&Event::Step(*window));
        }
        events::emit(&Event::Replica(outcome.report.clone()));
    }
    let latest = |instant: fn(&Outcome) -> Instant| outcomes.iter().map(instant).max();
    let first = outcomes.iter().map(|outcome| outcome.measured_from).min();
    let last = latest(|outcome| outcome.measured_until);
    let largest = |seconds: fn(&Outcome) -> f64| outcomes.iter().map(seconds).fold(0.0, f64::max);
    let convolves = job.settings.model == ModelName::Cifar10;
    events::emit(&Event::Finished(WorkerReport {
        steps: job.settings.steps,
        elapsed_seconds: first
            .zip(last)
            .map_or(0.0, |(from, until)| (until - from).as_secs_f64()),
        startup_seconds: largest(|outcome| outcome.startup_seconds),
        prefill_seconds: largest(|outcome| outcome.prefill_seconds),
        first_step_seconds: largest(|outcome| outcome.first_step_seconds),
        exchanged_bytes: outcomes.iter().map(|outcome| outcome.exchanged_bytes).sum(),
        peak_memory_bytes: resources::peak_memory_bytes(),
        cpu_seconds: resources::cpu_seconds(),
        convolution: convolves.then(|| "im2col".to_owned()),
    }));
}
