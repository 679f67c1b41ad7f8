//! A process that trains. In: a [`Job`] on stdin. Out: events on stdout.
//! Knows no TOML, no sweep and no other cell; it never schedules.
//!
//! Reading order: [`orders`] and [`events`] are the two pipes to the harness, [`replica`] puts the
//! parts of one replica together, [`step_loop`] runs them, [`exchange`] joins replicas.

pub mod checkpoint;
pub mod clock;
pub mod cores;
pub mod events;
pub mod exchange;
pub mod gpu;
pub mod input;
pub mod layer;
pub mod model;
pub mod optimizer;
pub mod orders;
pub mod parameters;
pub mod passes;
pub mod probe;
pub mod replica;
pub mod resources;
pub mod step_loop;

use crate::protocol::{Event, Job, VERSION, WorkerReport};
use crate::terms::RoleName;
use anyhow::{Context, Result, ensure};
use exchange::{Meeting, parameter_server};
use replica::{Built, Outcome};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// The whole life of a worker process. `program` is the identity that the build embedded.
pub fn main(program: &str) -> ExitCode {
    match work(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            events::fail(&gpu::advised(error));
            ExitCode::FAILURE
        }
    }
}

fn work(program: &str) -> Result<()> {
    let mut orders = orders::Orders::listen();
    let job = orders.job()?;
    check(&job)?;
    let mut process = Process {
        program,
        job: &job,
        orders: &mut orders,
    };
    match job.role {
        RoleName::Worker => train(&mut process),
        RoleName::Server => parameter_server::server::main(&mut process),
        RoleName::Probe => probe::serve(&mut process),
    }
}

/// One process of a repeat and its pipes to the harness.
pub struct Process<'a> {
    /// The identity that the build embedded.
    program: &'a str,
    pub job: &'a Job,
    orders: &'a mut orders::Orders,
}

impl Process<'_> {
    /// Says that everything is built and bound, and waits for the others: the addresses that the
    /// harness tells.
    pub fn ready(&mut self, address: Option<String>) -> Result<Vec<String>> {
        events::emit(&Event::Ready {
            protocol: VERSION,
            program: self.program.to_owned(),
            address,
        });
        self.orders.start()
    }
}

fn train(process: &mut Process<'_>) -> Result<()> {
    let mut replicas = replica::build(process.job)?;
    let meeting = Meeting::bind(process.job)?;
    let peers = process.ready(meeting.address()?)?;
    let started = Instant::now();
    let parameters = replicas[0].parameters().clone();
    let joined = meeting.join(process.job, &peers, &parameters)?;
    replica::join(&mut replicas, joined).context("joining the other workers")?;
    let outcomes = run(replicas, started)?;
    report(&outcomes, started);
    Ok(())
}

/// The vector extensions that this program takes on this processor where it asks at run time.
pub fn vector_extensions() -> String {
    let kernels = layer::simd::Level::best();
    format!("kernels {kernels:?}, gemm {}", gemm_extensions()).to_lowercase()
}

/// What the `gemm` crate takes: its AVX-512 kernels are there only if they were built in.
#[cfg(target_arch = "x86_64")]
fn gemm_extensions() -> &'static str {
    if cfg!(feature = "avx512") && is_x86_feature_detected!("avx512f") {
        "avx512"
    } else if is_x86_feature_detected!("fma") {
        "fma"
    } else {
        "scalar"
    }
}

/// It has one set of kernels for the other processors.
#[cfg(not(target_arch = "x86_64"))]
fn gemm_extensions() -> &'static str {
    "as compiled"
}

/// Refuses what a harness of another version might ask for.
fn check(job: &Job) -> Result<()> {
    ensure!(
        job.protocol == VERSION,
        "the harness speaks protocol {}, this worker speaks {VERSION}: use the same build of xrun for both",
        job.protocol
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
            Ok(Err(error)) => events::abort(&gpu::advised(error)),
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
fn report(outcomes: &[Outcome], started: Instant) {
    for outcome in outcomes {
        for window in &outcome.windows {
            events::emit(&Event::Step(*window));
        }
        events::emit(&Event::Replica(outcome.report.clone()));
        for link in &outcome.links {
            events::emit(&Event::Link(link.clone()));
        }
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
        steps: outcomes[0].steps,
        total_steps: outcomes[0].total_steps,
        global_steps: outcomes[0].global_steps,
        checkpoints: outcomes.iter().map(|outcome| outcome.checkpoints).sum(),
        measured_from_seconds: (first - started).as_secs_f64(),
        elapsed_seconds: (last - first).as_secs_f64(),
        startup_seconds: largest(|outcome| outcome.startup_seconds),
        prefill_seconds: largest(|outcome| outcome.prefill_seconds),
        first_step_seconds: largest(|outcome| outcome.first_step_seconds),
        exchanged_bytes: outcomes.iter().map(|outcome| outcome.exchanged_bytes).sum(),
        peak_memory_bytes: resources::peak_memory_bytes(),
        cpu_seconds: resources::cpu_seconds(),
        convolutions: outcomes[0].convolutions.clone(),
        timing: outcomes[0].timing.clone(),
    }));
}
