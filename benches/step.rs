//! Whole training steps as a worker runs them: input, forward, loss, backward, exchange and update,
//! one pinned thread for each core that is named, or one replica on a GPU. Prints one line of JSON with
//! the mean seconds of a step in every window of replica 0: one step on a CPU, several on a GPU.
//!
//!     cargo bench --bench step -- --cores 0                                # cifar10, one thread
//!     cargo bench --bench step -- --cores 0,1 --convolution direct
//!     cargo bench --bench step -- --cores 0,1 --replicas 2                 # one thread each
//!     cargo bench --bench step -- --model mlp --cores 0,1 --batch 128 --check
//!     cargo bench --bench step --features cuda,cudnn -- --gpu first --batch 1024 --steps 500 --tf32
//!
//! `--gpu` names a GPU by its UUID, or the first that NVML finds, and `--cores` are then those of its
//! host threads; without `--no-graph` the step is captured in a CUDA graph.
//!
//! With `--check` the line also has the worst relative L2 distance of a variable's gradient in f32
//! from the one in f64 on the CPU, over a batch of 32, and whether both found all maxima of the pooling
//! layers at the same places. Where they did not, rounding has resolved a tie in another way: so up to
//! eight random batches are tried for one without. A GPU does not tell its places: there the batch with
//! the least distance counts, since an error of a kernel shows in all of them.

#[path = "step/check.rs"]
mod check;
#[path = "step/options.rs"]
mod options;

use anyhow::Result;
use options::Options;
use serde_json::json;
use std::time::Instant;
use strum::VariantArray;
use xrun::protocol::{DeviceJob, Job, VERSION};
use xrun::terms::{Convolution, Phase};
use xrun::worker::replica::{self, Outcome};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    let options = Options::read(std::env::args().skip(1))?;
    let cache = tempfile::tempdir()?;
    let job = job(&options, cache.path().into());
    let outcomes = run(&job)?;
    let mut line = line(&options, &job, &outcomes[0]);
    if options.check {
        let checked = check::gradients(&options.settings, options.gpu.as_deref())?;
        line["gradient_error"] = json!(checked.worst);
        line["same_places"] = json!(checked.same_places);
    }
    println!("{line}");
    Ok(())
}

/// What is printed of the first replica.
fn line(options: &Options, job: &Job, outcome: &Outcome) -> serde_json::Value {
    let seconds: Vec<f64> = (outcome.windows.iter())
        .map(|window| window.seconds / window.steps as f64)
        .collect();
    json!({
        "program": "xrun",
        "model": options.settings.model.to_string(),
        "batch": options.settings.local_batch * job.devices.len(),
        "threads": options.cores.len(),
        "replicas": job.devices.len(),
        "convolution": in_words(&outcome.convolutions),
        "timing": outcome.timing,
        "seconds": seconds,
        "phase_seconds": phases(outcome),
        "gpu": outcome.report.gpu,
        "peak_memory_bytes": xrun::worker::resources::peak_memory_bytes(),
    })
}

fn job(options: &Options, cache: std::path::PathBuf) -> Job {
    let threads = options.settings.device_threads;
    let device = |cores: &[usize]| match &options.gpu {
        None => DeviceJob::Cpu {
            cores: cores.to_vec(),
        },
        Some(uuid) => DeviceJob::Cuda {
            uuid: uuid.clone(),
            cores: cores.to_vec(),
        },
    };
    Job {
        protocol: VERSION,
        rank: 0,
        world_size: 1,
        role: xrun::terms::RoleName::Worker,
        token: String::new(),
        checkpoints: None,
        settings: options.settings.clone(),
        devices: options.cores.chunks(threads).map(device).collect(),
        cache,
    }
}

/// Runs all replicas to their end, in replica order.
fn run(job: &Job) -> Result<Vec<Outcome>> {
    let replicas = replica::build(job)?;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (replicas.into_iter())
            .map(|replica| scope.spawn(move || replica.run(started)))
            .collect();
        let outcomes = threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        outcomes.collect()
    })
}

/// Mean seconds of a step in each phase that took any.
fn phases(outcome: &Outcome) -> serde_json::Map<String, serde_json::Value> {
    let windows = &outcome.windows;
    let steps: u64 = windows.iter().map(|window| window.steps).sum();
    let sum = |phase: Phase| -> f64 { windows.iter().map(|w| w.phases[phase as usize]).sum() };
    Phase::VARIANTS
        .iter()
        .filter(|phase| sum(**phase) > 0.0)
        .map(|phase| (phase.to_string(), json!(sum(*phase) / steps as f64)))
        .collect()
}

fn in_words(algorithms: &[Convolution]) -> String {
    let words: Vec<String> = algorithms.iter().map(ToString::to_string).collect();
    words.join(" ")
}
