//! How fast the input pipeline on the host is.
//!
//!     cargo bench --bench input                                # one distortion, by criterion
//!     cargo bench --bench input -- --pipeline --cores 0,1      # shuffle buffer and batches, a thread for each core
//!
//! The pipeline's rates, one for each window, come as one line of JSON.

use anyhow::{Context, Result};
use clap::Parser;
use criterion::{Criterion, Throughput};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::json;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use xrun::worker::input::cifar10_file::Records;
use xrun::worker::input::distort::LENGTH;
use xrun::worker::input::examples::{Example, Examples, Share, SharedExamples};
use xrun::worker::input::generated;
use xrun::worker::input::pipeline::{HostBatch, Pipeline, Shape};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 128;
const BUFFER: usize = 20_000;

#[derive(Parser)]
struct Asked {
    /// Measure the whole pipeline.
    #[arg(long)]
    pipeline: bool,
    /// The cores of its threads and of whoever takes batches.
    #[arg(long, value_delimiter = ',', default_value = "0")]
    cores: Vec<usize>,
    /// How many rates are printed.
    #[arg(long, default_value_t = 10)]
    windows: usize,
    /// Length of a window.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let asked = Asked::parse();
    if asked.pipeline {
        return pipeline(&asked);
    }
    distortion(&mut Criterion::default());
    Ok(())
}

fn examples() -> Result<Examples> {
    let cache = tempfile::tempdir()?;
    let folder = generated::folder(cache.path(), 1)?;
    Ok(Examples::new(Arc::new(Records::read(&folder)?), 1))
}

fn distortion(criterion: &mut Criterion) {
    let examples = examples().expect("there is room for 31 MB");
    let (mut example, mut batch) = (Example::default(), HostBatch::default());
    let mut number = 0;
    let mut group = criterion.benchmark_group("distort");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one core", |bencher| {
        bencher.iter(|| {
            number += 1;
            example.take(examples.record(number), &examples.distortion(number));
            batch.clear();
            example.append(black_box(&mut batch));
        });
    });
    group.finish();
}

fn pipeline(asked: &Asked) -> Result<()> {
    pin(&asked.cores)?;
    let shape = Shape {
        width: LENGTH,
        batch: BATCH,
        buffer: BUFFER,
        threads: asked.cores.len(),
        consumers: 1,
        seed: 1,
    };
    let share = Share {
        first: 0,
        stride: 1,
    };
    let examples = examples()?;
    let pipeline = Pipeline::new(shape, SharedExamples { examples, share })?;
    pipeline.prefill()?;
    let window = Duration::from_secs_f64(asked.seconds);
    let rates = (0..asked.windows)
        .map(|_| rate(&pipeline, window))
        .collect::<Result<Vec<f64>>>()?;
    let threads = asked.cores.len();
    let line = json!({"program": "xrun", "batch": BATCH, "threads": threads, "examples_per_second": rates});
    println!("{line}");
    Ok(())
}

/// Input threads run where the process's first thread may.
fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set).context("--cores names a core that this process may not use")
}

/// Examples per second of batches taken for as long as `window`.
fn rate(pipeline: &Pipeline<SharedExamples>, window: Duration) -> Result<f64> {
    let start = Instant::now();
    let mut taken = 0;
    while start.elapsed() < window {
        taken += black_box(pipeline.next()?).labels.len();
    }
    Ok(taken as f64 / start.elapsed().as_secs_f64())
}
