//! In: a pipeline of threads. Out: its batches as tensors of one replica. Knows nothing of how they
//! are made.

use super::super::clock::{StepClock, timed};
use super::cifar10_file::CHANNELS;
use super::distort::{CROP, LENGTH};
use super::examples::SharedExamples;
use super::pipeline::{HostBatch, Pipeline, Shape};
use super::{Batch, Input};
use crate::spec::settings::Settings;
use crate::terms::Phase;
use crate::units::Seconds;
use crate::worker::gpu::Gpu;
use candle_core::{Device, Error, Result, Tensor};
use std::sync::Arc;

mod on_gpu;

pub use on_gpu::HostInputOnGpu;

/// A replica's end of a pipeline on the host. The last replica's end of it ends its threads.
pub struct HostInput {
    pipeline: Arc<Pipeline<SharedExamples>>,
}

impl HostInput {
    pub fn new(pipeline: Arc<Pipeline<SharedExamples>>) -> Self {
        Self { pipeline }
    }
}

/// A pipeline over `share` of the examples, for `consumers` replicas. For those of GPUs, one of which is
/// given, it makes its batches in page-locked memory.
pub fn pipeline(
    settings: &Settings,
    examples: SharedExamples,
    consumers: usize,
    gpu: Option<&Gpu>,
) -> anyhow::Result<Arc<Pipeline<SharedExamples>>> {
    let shape = Shape {
        width: LENGTH,
        batch: settings.local_batch,
        buffer: settings.shuffle_buffer,
        threads: settings.input_threads,
        consumers,
        // Pipelines of one cell draw from their buffers in orders of their own.
        seed: settings.seed.wrapping_add(examples.share.first),
    };
    let pipeline = Pipeline::new(shape, examples)?;
    if let Some(gpu) = gpu {
        for _ in 0..shape.batches(on_gpu::HELD) {
            pipeline.keep(HostBatch::pinned(&shape, gpu)?);
        }
    }
    Ok(Arc::new(pipeline))
}

impl Input for HostInput {
    fn prefill(&mut self) -> Result<Seconds> {
        prefill(&self.pipeline)
    }

    fn next(&mut self, clock: &mut StepClock) -> Result<Batch> {
        let batch = self.pipeline.next().map_err(Error::msg)?;
        clock.book(Phase::InputWait);
        let batch = image_batch(batch, &Device::Cpu)?;
        clock.book(Phase::Copy);
        Ok(batch)
    }
}

fn prefill(pipeline: &Pipeline<SharedExamples>) -> Result<Seconds> {
    let (filled, seconds) = timed(|| pipeline.prefill());
    filled.map_err(Error::msg)?;
    Ok(Seconds(seconds))
}

/// `batch` of images as tensors on `device`. On a CPU its memory becomes the tensor's.
pub fn image_batch(batch: HostBatch, device: &Device) -> Result<Batch> {
    let examples = batch.labels.len();
    let (targets, label_sum) = targets(&batch.labels, device)?;
    Ok(Batch {
        examples,
        inputs: Tensor::from_vec(
            Vec::from(batch.values),
            (examples, CROP, CROP, CHANNELS),
            device,
        )?,
        targets,
        label_sum,
    })
}

/// Labels as a tensor `(batch,)` of u32, and their sum.
pub fn targets(labels: &[u8], device: &Device) -> Result<(Tensor, u64)> {
    let classes: Vec<u32> = labels.iter().map(|label| u32::from(*label)).collect();
    let sum = classes.iter().map(|class| u64::from(*class)).sum();
    Ok((Tensor::from_vec(classes, labels.len(), device)?, sum))
}
