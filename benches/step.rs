//! Whole training steps as a worker runs them: input, forward, loss, backward, exchange and update,
//! one pinned thread for each core that is named. Prints one line of JSON with the seconds of every
//! step of replica 0.
//!
//!     cargo bench --bench step -- --cores 0                                # cifar10, one thread
//!     cargo bench --bench step -- --cores 0,1 --convolution direct
//!     cargo bench --bench step -- --cores 0,1 --replicas 2                 # one thread each
//!     cargo bench --bench step -- --model mlp --cores 0,1 --batch 128 --check
//!
//! With `--check` the line also has the worst relative L2 distance of a variable's gradient in f32
//! from the one in f64, over a batch of 32, and whether both found all maxima of the pooling layers
//! at the same places. Where they did not, rounding has resolved a tie in another way: so up to eight
//! random batches are tried for one without.

#[path = "step/check.rs"]
mod check;

use anyhow::{Context, Result, bail};
use serde_json::json;
use std::str::FromStr;
use std::time::Instant;
use strum::VariantArray;
use xrun::protocol::{DeviceJob, Job, VERSION};
use xrun::spec::settings::Settings;
use xrun::terms::{Convolution, InputSource, ModelName, Phase, Topology};
use xrun::worker::replica::{self, Outcome};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Options {
    settings: Settings,
    cores: Vec<usize>,
    check: bool,
}

fn main() -> Result<()> {
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    let options = options(std::env::args().skip(1))?;
    let cache = tempfile::tempdir()?;
    let job = job(&options, cache.path().into());
    let outcomes = run(&job)?;
    let seconds: Vec<f64> = (outcomes[0].windows.iter())
        .map(|window| window.seconds)
        .collect();
    let mut line = json!({
        "program": "xrun",
        "model": options.settings.model.to_string(),
        "batch": options.settings.local_batch * job.devices.len(),
        "threads": options.cores.len(),
        "replicas": job.devices.len(),
        "convolution": in_words(&outcomes[0].convolutions),
        "seconds": seconds,
        "phase_seconds": phases(&outcomes[0]),
        "peak_memory_bytes": xrun::worker::resources::peak_memory_bytes(),
    });
    if options.check {
        let checked = check::gradients(&options.settings)?;
        line["gradient_error"] = json!(checked.worst);
        line["same_places"] = json!(checked.same_places);
    }
    println!("{line}");
    Ok(())
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options> {
    let mut model = ModelName::Cifar10;
    let (mut batch, mut steps, mut warmup_steps, mut replicas) = (128, 40, 5, 1);
    let (mut cores, mut convolution, mut check) = (vec![0], Convolution::Auto, false);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--bench" => {} // cargo's own
            "--check" => check = true,
            "--model" => model = parsed(&value()?)?,
            "--batch" => batch = parsed(&value()?)?,
            "--steps" => steps = parsed(&value()?)?,
            "--warmup" => warmup_steps = parsed(&value()?)?,
            "--replicas" => replicas = parsed(&value()?)?,
            "--convolution" => convolution = parsed(&value()?)?,
            "--cores" => cores = value()?.split(',').map(parsed).collect::<Result<_>>()?,
            _ => bail!("unknown argument {arg}: see the head of benches/step.rs"),
        }
    }
    if replicas == 0 || cores.len() % replicas != 0 || batch % replicas != 0 {
        bail!("cores and batch are divided among the replicas: {replicas} does not divide them");
    }
    let defaults = Settings::defaults(model);
    let settings = Settings {
        local_batch: batch / replicas,
        convolution,
        input_source: match model {
            ModelName::Cifar10 => InputSource::Resident,
            _ => defaults.input_source,
        },
        devices_per_worker: replicas,
        device_threads: cores.len() / replicas,
        topology: match replicas {
            1 => Topology::Single,
            _ => Topology::Replicated,
        },
        warmup_steps,
        steps,
        ..defaults
    };
    Ok(Options {
        settings,
        cores,
        check,
    })
}

fn parsed<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(word: &str) -> Result<T> {
    word.parse()
        .with_context(|| format!("cannot understand {word}"))
}

fn job(options: &Options, cache: std::path::PathBuf) -> Job {
    let threads = options.settings.device_threads;
    let device = |cores: &[usize]| DeviceJob::Cpu {
        cores: cores.to_vec(),
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
