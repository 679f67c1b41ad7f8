//! In: a job. Out: one [`Input`] for each replica of this worker, which gives it a [`Batch`] a step.
//! Knows neither models nor exchanges.
//!
//! Examples are numbered over all replicas of a cell and dealt out in turn, so that no two replicas see
//! the same one within an epoch. All that is random about an example follows from the seed and its number:
//! it is the same image whichever thread or device makes it.

pub mod cifar10_file;
pub mod distort;
pub mod examples;
pub mod generated;
pub mod pipeline;
pub mod random;

mod drawn_on_gpu;
mod host;
mod moving_fields;
mod normal;
mod on_device;
mod prefetch;
mod resident;

use super::clock::StepClock;
use super::gpu::Gpu;
use crate::protocol::Job;
use crate::spec::settings::Settings;
use crate::terms::{DevicePipeline, InputSource, ModelName, Pipelines, Placement};
use crate::units::Seconds;
use anyhow::{Context, bail, ensure};
use candle_core::{Device, Result, Tensor};
use cifar10_file::Records;
use drawn_on_gpu::DrawnOnGpu;
use examples::{Examples, Share, SharedExamples};
use host::{HostInput, HostInputOnGpu};
use moving_fields::{MovingFields, Sequence};
use normal::NormalInput;
use on_device::{Cut, DeviceInput, DistortionOnGpu};
use resident::{FirstOf, ResidentInput};
use std::path::PathBuf;
use std::sync::Arc;

/// What one replica trains on in one step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Number of examples.
    pub examples: usize,
    /// Images `(batch, height, width, channels)`, sequences `(batch, height, width, frames)` or vectors
    /// `(batch, width)`, f32.
    pub inputs: Tensor,
    /// Class labels `(batch,)` as u32, or the frames that follow or target vectors as f32.
    pub targets: Tensor,
    /// Sum of the class labels; zero where there are none. Evidence that the input was read.
    pub label_sum: u64,
}

/// The input of one replica.
pub trait Input: Send {
    /// Fills what must be full before the first batch, and says how long that took. Each replica calls
    /// it from its own thread, after the start and before its first step.
    fn prefill(&mut self) -> Result<Seconds> {
        Ok(Seconds(0.0))
    }

    /// The next batch. Books what it does as `input_wait`, `copy` and `distort`; operations on a CPU
    /// device run in the rayon pool of the caller, those on a GPU are put on its queue.
    fn next(&mut self, clock: &mut StepClock) -> Result<Batch>;
}

/// One input for each replica of the worker, in replica order; `gpus` says which GPU a replica lives on,
/// and none for one of cores.
///
/// Reads the files, and writes generated ones at their first use, once for all replicas. Input threads
/// run on the CPUs of the process's first thread, so that one must not be pinned.
///
/// On a GPU the tensors of a batch have fixed places in its memory: an input hands out the same one or
/// two sets of tensors in turn, and what is in them is read by work that is on the GPU's main queue before
/// the next call.
pub fn open(job: &Job, gpus: &[Option<Gpu>]) -> anyhow::Result<Vec<Box<dyn Input>>> {
    let replicas = Replicas {
        job,
        settings: &job.settings,
        gpus,
    };
    match job.settings.input_source {
        InputSource::Normal => replicas.each(|share, gpu| replicas.normal(share, gpu)),
        InputSource::MovingFields => replicas.each(|share, gpu| replicas.moving_fields(share, gpu)),
        InputSource::Resident => replicas.resident(),
        InputSource::Cifar10 | InputSource::Generated => match job.settings.input_placement {
            Placement::Host => replicas.host(),
            Placement::Device => replicas.on_device(),
        },
    }
}

/// The replicas whose inputs are opened.
struct Replicas<'a> {
    job: &'a Job,
    settings: &'a Settings,
    gpus: &'a [Option<Gpu>],
}

impl Replicas<'_> {
    fn normal(&self, share: Share, gpu: Option<&Gpu>) -> anyhow::Result<Box<dyn Input>> {
        let [first, .., last] = self.settings.layers[..] else {
            bail!("normal input needs the widths of its vectors: set model.layers to at least two");
        };
        ensure!(
            first > 0 && last > 0,
            "a layer of model.layers has no width"
        );
        let input = NormalInput {
            seed: self.settings.seed,
            share,
            batch: self.settings.local_batch,
            widths: (first, last),
            taken: 0,
        };
        Ok(match gpu {
            None => Box::new(input),
            Some(gpu) => Box::new(DrawnOnGpu::new(input, gpu.clone())?),
        })
    }

    fn moving_fields(&self, share: Share, gpu: Option<&Gpu>) -> anyhow::Result<Box<dyn Input>> {
        let input = MovingFields {
            seed: self.settings.seed,
            share,
            batch: self.settings.local_batch,
            sequence: Sequence {
                side: self.settings.image_size,
                frames: self.settings.frames,
                predicted_frames: self.settings.predicted_frames,
            },
            taken: 0,
        };
        Ok(match gpu {
            None => Box::new(input),
            Some(gpu) => Box::new(DrawnOnGpu::new(input, gpu.clone())?),
        })
    }

    /// The first batch of what the model takes else.
    fn resident(&self) -> anyhow::Result<Vec<Box<dyn Input>>> {
        let first_of = |input| -> Box<dyn Input> { Box::new(FirstOf::new(input)) };
        match self.settings.model {
            ModelName::Mlp => self.each(|share, gpu| Ok(first_of(self.normal(share, gpu)?))),
            ModelName::SatSeq2seq => {
                self.each(|share, gpu| Ok(first_of(self.moving_fields(share, gpu)?)))
            }
            ModelName::Cifar10 | ModelName::None => self.resident_images(),
        }
    }

    fn resident_images(&self) -> anyhow::Result<Vec<Box<dyn Input>>> {
        let examples = self.examples()?;
        let batch = self.settings.local_batch;
        self.each(|share, gpu| {
            let device = gpu.map_or(&Device::Cpu, Gpu::device);
            let input = ResidentInput::images(&examples, share, batch, device)?;
            Ok(Box::new(input))
        })
    }

    fn on_device(&self) -> anyhow::Result<Vec<Box<dyn Input>>> {
        let examples = self.examples()?;
        let (batch, pipeline) = (self.settings.local_batch, self.settings.device_pipeline);
        self.each(|share, gpu| {
            let examples = examples.clone();
            if let Some(gpu) = gpu {
                let gpu = gpu.clone();
                let input = DistortionOnGpu::new(examples, share, batch, pipeline, gpu)?;
                return Ok(Box::new(input));
            }
            let cut = match pipeline {
                DevicePipeline::PerImage => Cut::PerImage,
                DevicePipeline::Batched => Cut::Batched,
                DevicePipeline::Fused => bail!("a fused input pipeline needs a GPU"),
            };
            Ok(Box::new(DeviceInput::new(examples, share, batch, cut)))
        })
    }

    fn host(&self) -> anyhow::Result<Vec<Box<dyn Input>>> {
        let (all, batch) = (self.examples()?, self.settings.local_batch);
        let open = |share, consumers, gpu: Option<&Gpu>| {
            let examples = all.clone();
            host::pipeline(
                self.settings,
                SharedExamples { examples, share },
                consumers,
                gpu,
            )
        };
        let end = |pipeline, gpu: Option<&Gpu>| -> anyhow::Result<Box<dyn Input>> {
            Ok(match gpu {
                None => Box::new(HostInput::new(pipeline)),
                Some(gpu) => Box::new(HostInputOnGpu::new(pipeline, batch, gpu.clone())?),
            })
        };
        match self.settings.pipelines {
            Pipelines::PerReplica => self.each(|share, gpu| end(open(share, 1, gpu)?, gpu)),
            Pipelines::Shared => {
                let share = Share {
                    first: self.job.rank as u64,
                    stride: self.job.world_size as u64,
                };
                let first_gpu = self.gpus.iter().flatten().next();
                let shared = open(share, self.gpus.len(), first_gpu)?;
                self.each(|_, gpu| end(shared.clone(), gpu))
            }
        }
    }

    /// One input for each replica, made from the replica's share of all examples and its GPU.
    fn each(
        &self,
        make: impl Fn(Share, Option<&Gpu>) -> anyhow::Result<Box<dyn Input>>,
    ) -> anyhow::Result<Vec<Box<dyn Input>>> {
        let count = self.gpus.len();
        let make = |(replica, gpu): (usize, &Option<Gpu>)| {
            let share = Share {
                first: (self.job.rank * count + replica) as u64,
                stride: (self.job.world_size * count) as u64,
            };
            make(share, gpu.as_ref())
        };
        self.gpus.iter().enumerate().map(make).collect()
    }

    fn examples(&self) -> anyhow::Result<Examples> {
        let folder = match self.settings.input_source {
            InputSource::Cifar10 => PathBuf::from(&self.settings.input_directory),
            _ => generated::folder(&self.job.cache, self.settings.seed)?,
        };
        let records = Records::read(&folder).context("cannot open the input")?;
        Ok(Examples::new(Arc::new(records), self.settings.seed))
    }
}
