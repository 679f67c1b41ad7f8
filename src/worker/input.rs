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

mod host;
mod moving_fields;
mod normal;
mod on_device;
mod prefetch;
mod resident;

use super::clock::StepClock;
use crate::protocol::Job;
use crate::spec::settings::Settings;
use crate::terms::{DevicePipeline, InputSource, ModelName, Pipelines, Placement};
use crate::units::Seconds;
use anyhow::{Context, bail, ensure};
use candle_core::{Device, Result, Tensor};
use cifar10_file::Records;
use examples::{Examples, Share};
use host::HostInput;
use moving_fields::{MovingFields, Sequence};
use normal::NormalInput;
use on_device::{Cut, DeviceInput};
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
    /// device run in the rayon pool of the caller.
    fn next(&mut self, clock: &mut StepClock) -> Result<Batch>;
}

/// One input for each replica of the worker, in replica order; `devices` are the replicas' devices.
///
/// Reads the files, and writes generated ones at their first use, once for all replicas. Input threads
/// run on the CPUs of the process's first thread, so that one must not be pinned.
pub fn open(job: &Job, devices: &[Device]) -> anyhow::Result<Vec<Box<dyn Input>>> {
    let replicas = Replicas {
        job,
        settings: &job.settings,
        devices,
    };
    match job.settings.input_source {
        InputSource::Normal => {
            replicas.each(|share, device| Ok(Box::new(replicas.normal(share, device)?)))
        }
        InputSource::MovingFields => {
            replicas.each(|share, device| Ok(Box::new(replicas.moving_fields(share, device))))
        }
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
    devices: &'a [Device],
}

impl Replicas<'_> {
    fn normal(&self, share: Share, device: &Device) -> anyhow::Result<NormalInput> {
        let [first, .., last] = self.settings.layers[..] else {
            bail!("normal input needs the widths of its vectors: set model.layers to at least two");
        };
        ensure!(
            first > 0 && last > 0,
            "a layer of model.layers has no width"
        );
        Ok(NormalInput {
            seed: self.settings.seed,
            share,
            batch: self.settings.local_batch,
            widths: (first, last),
            device: device.clone(),
            taken: 0,
        })
    }

    fn moving_fields(&self, share: Share, device: &Device) -> MovingFields {
        MovingFields {
            seed: self.settings.seed,
            share,
            batch: self.settings.local_batch,
            sequence: Sequence {
                side: self.settings.image_size,
                frames: self.settings.frames,
                predicted_frames: self.settings.predicted_frames,
            },
            device: device.clone(),
            taken: 0,
        }
    }

    /// The first batch of what the model takes else.
    fn resident(&self) -> anyhow::Result<Vec<Box<dyn Input>>> {
        match self.settings.model {
            ModelName::Mlp => {
                self.each(|share, device| Ok(Box::new(FirstOf::new(self.normal(share, device)?))))
            }
            ModelName::SatSeq2seq => self.each(|share, device| {
                Ok(Box::new(FirstOf::new(self.moving_fields(share, device))))
            }),
            ModelName::Cifar10 | ModelName::None => self.resident_images(),
        }
    }

    fn resident_images(&self) -> anyhow::Result<Vec<Box<dyn Input>>> {
        let examples = self.examples()?;
        let batch = self.settings.local_batch;
        self.each(|share, device| {
            Ok(Box::new(ResidentInput::images(
                &examples, share, batch, device,
            )?))
        })
    }

    fn on_device(&self) -> anyhow::Result<Vec<Box<dyn Input>>> {
        let cut = match self.settings.device_pipeline {
            DevicePipeline::PerImage => Cut::PerImage,
            DevicePipeline::Batched => Cut::Batched,
            DevicePipeline::Fused => bail!("a fused input pipeline is not built into this version"),
        };
        let examples = self.examples()?;
        let batch = self.settings.local_batch;
        self.each(|share, device| {
            let (examples, device) = (examples.clone(), device.clone());
            Ok(Box::new(DeviceInput::new(
                examples, share, batch, cut, device,
            )))
        })
    }

    fn host(&self) -> anyhow::Result<Vec<Box<dyn Input>>> {
        let examples = self.examples()?;
        let open =
            |share, consumers| host::pipeline(self.settings, examples.clone(), share, consumers);
        match self.settings.pipelines {
            Pipelines::PerReplica => self.each(|share, device| {
                Ok(Box::new(HostInput::new(open(share, 1)?, device.clone())))
            }),
            Pipelines::Shared => {
                let share = Share {
                    first: self.job.rank as u64,
                    stride: self.job.world_size as u64,
                };
                let shared = open(share, self.devices.len())?;
                self.each(|_, device| Ok(Box::new(HostInput::new(shared.clone(), device.clone()))))
            }
        }
    }

    /// One input for each replica, made from the replica's share of all examples and its device.
    fn each(
        &self,
        make: impl Fn(Share, &Device) -> anyhow::Result<Box<dyn Input>>,
    ) -> anyhow::Result<Vec<Box<dyn Input>>> {
        let count = self.devices.len();
        let make = |(replica, device)| {
            let share = Share {
                first: (self.job.rank * count + replica) as u64,
                stride: (self.job.world_size * count) as u64,
            };
            make(share, device)
        };
        self.devices.iter().enumerate().map(make).collect()
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
