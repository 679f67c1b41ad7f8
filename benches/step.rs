//! Examples per second of whole training steps of `cifar10` on a resident batch of 128: forward,
//! loss, backward, update and averages, on one pinned thread for each core that is named.
//!
//!     cargo bench --features avx512 --bench step -- 0      # one thread, on core 0
//!     cargo bench --features avx512 --bench step -- 0 1    # two threads

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::time::Instant;
use xrun::terms::OptimizerName;
use xrun::worker::input::Batch;
use xrun::worker::layer::Tape;
use xrun::worker::model::{Cifar10, Model};
use xrun::worker::optimizer::{Config, Optimizer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 128;
const WARMUP_STEPS: usize = 5;
const STEPS: usize = 40;

fn main() -> Result<()> {
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    let named = std::env::args().filter_map(|core| core.parse().ok());
    let mut cores: Vec<usize> = named.collect();
    if cores.is_empty() {
        cores.push(0);
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(cores.len())
        .start_handler({
            let cores = cores.clone();
            move |thread| pin(cores[thread])
        })
        .build()?;
    pool.install(|| measure(cores.len()))
}

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).expect("a named core is one of this machine");
}

fn measure(threads: usize) -> Result<()> {
    let mut trainer = Trainer::new()?;
    for _ in 0..WARMUP_STEPS {
        trainer.step()?;
    }
    let mut seconds = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let start = Instant::now();
        trainer.step()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[STEPS / 2];
    println!(
        "xrun cifar10 batch {BATCH} threads {threads}: {:.0} examples/s, {:.1} ms/step (median), {:.1} ms (least)",
        BATCH as f64 / median,
        median * 1e3,
        seconds[0] * 1e3
    );
    Ok(())
}

struct Trainer {
    model: Cifar10,
    weights: Vec<Vec<f32>>,
    optimizer: Optimizer,
    batch: Batch,
    tape: Tape,
}

impl Trainer {
    fn new() -> Result<Self> {
        let model = Cifar10::new(1, DType::F32)?;
        let weights = model
            .parameters()
            .iter()
            .map(|(_, var)| var.flatten_all()?.to_vec1())
            .collect::<candle_core::Result<Vec<Vec<f32>>>>()?;
        let config = Config {
            rule: OptimizerName::Sgd,
            learning_rate: 0.02,
            decay: None,
            averages: true,
        };
        let parts: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
        let optimizer = Optimizer::new(config, &parts);
        let labels: Vec<u32> = (0..BATCH as u32).map(|i| i * 7 % 10).collect();
        Ok(Self {
            model,
            tape: Tape::default(),
            optimizer,
            weights,
            batch: Batch {
                examples: BATCH,
                inputs: Tensor::randn(0f32, 1.0, (BATCH, 24, 24, 3), &Device::Cpu)?,
                label_sum: labels.iter().map(|label| u64::from(*label)).sum(),
                targets: Tensor::new(labels, &Device::Cpu)?,
            },
        })
    }

    fn step(&mut self) -> Result<()> {
        self.tape.rewind();
        self.model.loss(&mut self.tape, &self.batch)?;
        self.tape.backward()?;
        let mut means = Vec::new();
        for (name, variable) in self.model.parameters() {
            let gradient = self.tape.gradient(variable).context(name.clone())?;
            means.push(gradient.flatten_all()?.to_vec1::<f32>()?);
        }
        let weights = self.weights.iter_mut().map(Vec::as_mut_slice);
        let parts = weights.zip(means.iter().map(Vec::as_slice)).collect();
        self.optimizer.step(parts);
        for ((_, variable), weights) in self.model.parameters().iter().zip(&self.weights) {
            let shape = variable.shape();
            variable.set(&Tensor::from_slice(weights, shape, &Device::Cpu)?)?;
        }
        Ok(())
    }
}
