//! In: a pipeline of threads that makes batches in page-locked memory. Out: its batches as tensors of a
//! replica on a GPU. Knows nothing of how they are made.
//!
//! Two slots in the GPU's memory take turns. While the step of one batch is on the main queue, the next
//! batch is copied to the other slot on a queue of its own, once the step that has used the slot is over.

use super::super::cifar10_file::CHANNELS;
use super::super::distort::CROP;
use super::super::examples::SharedExamples;
use super::super::pipeline::{HostBatch, Pipeline};
use super::super::{Batch, Input};
use crate::terms::Phase;
use crate::units::Seconds;
use crate::worker::clock::StepClock;
use crate::worker::gpu::{Event, Gpu, Pinned, Queue};
use candle_core::{DType, Error, Result, Tensor};
use std::sync::Arc;

/// Batches of the pipeline that one input holds at most: those of both slots and one that it just got.
pub const HELD: usize = 3;

/// The end of a pipeline of a replica on a GPU.
pub struct HostInputOnGpu {
    pipeline: Arc<Pipeline<SharedExamples>>,
    gpu: Gpu,
    copies: Queue,
    slots: [Slot; 2],
    /// The slot of the next batch.
    turn: usize,
}

impl HostInputOnGpu {
    /// `batch` is the number of examples.
    pub fn new(
        pipeline: Arc<Pipeline<SharedExamples>>,
        batch: usize,
        gpu: Gpu,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            pipeline,
            copies: gpu.side_queue()?,
            slots: [Slot::new(&gpu, batch)?, Slot::new(&gpu, batch)?],
            turn: 0,
            gpu,
        })
    }

    /// Puts the copy of `batch` to a slot on its queue.
    fn copy(&mut self, slot: usize, batch: HostBatch) -> Result<()> {
        if let Some(old) = self.slots[slot].copy(&self.gpu, &self.copies, batch)? {
            self.pipeline.keep(old);
        }
        Ok(())
    }
}

impl Drop for HostInputOnGpu {
    /// A batch that nobody took may still be on its way to memory that is given back now. A failure means that
    /// the device is gone.
    fn drop(&mut self) {
        let _ = self.copies.synchronize();
    }
}

impl Input for HostInputOnGpu {
    fn prefill(&mut self) -> Result<Seconds> {
        super::prefill(&self.pipeline)
    }

    /// Books as `copy` what the main queue waits for the copy: nothing, where it has kept up.
    fn next(&mut self, clock: &mut StepClock) -> Result<Batch> {
        let (turn, other) = (self.turn, 1 - self.turn);
        self.turn = other;
        // By now all of the step before is on the main queue.
        self.slots[other].used.record(self.gpu.queue())?;
        if !self.slots[turn].is_filled {
            let batch = self.pipeline.next().map_err(Error::msg)?;
            self.copy(turn, batch)?;
        }
        if let Some(next) = self.pipeline.next_if_ready() {
            self.copy(other, next)?;
        }
        clock.book(Phase::InputWait);
        self.gpu.queue().wait(&self.slots[turn].copied)?;
        clock.book(Phase::Copy);
        Ok(self.slots[turn].hand_out())
    }
}

/// A place in the GPU's memory for one batch after another.
struct Slot {
    inputs: Tensor,
    targets: Tensor,
    labels: Pinned<u32>,
    label_sum: u64,
    /// What was copied last; until `copied`, its memory belongs to the copy.
    batch: Option<HostBatch>,
    /// Whether a batch is here, or on its way, that was not yet handed out.
    is_filled: bool,
    copied: Event,
    /// Behind the last step that may read from here.
    used: Event,
}

impl Slot {
    fn new(gpu: &Gpu, examples: usize) -> Result<Self> {
        let shape = (examples, CROP, CROP, CHANNELS);
        let slot = Self {
            inputs: Tensor::zeros(shape, DType::F32, gpu.device())?,
            targets: Tensor::zeros(examples, DType::U32, gpu.device())?,
            labels: Pinned::zeros(gpu, examples)?,
            label_sum: 0,
            batch: None,
            is_filled: false,
            copied: Event::new(gpu)?,
            used: Event::new(gpu)?,
        };
        // The memory came to be in the order of the main queue.
        slot.used.record(gpu.queue())?;
        Ok(slot)
    }

    /// Puts the copy of `batch` to here on `queue`, and gives back what was copied before.
    fn copy(&mut self, gpu: &Gpu, queue: &Queue, batch: HostBatch) -> Result<Option<HostBatch>> {
        // Of the batch before the last one: long over, where the device keeps up.
        self.copied.synchronize()?;
        self.label_sum = 0;
        for (to, label) in self.labels.as_mut_slice().iter_mut().zip(&batch.labels) {
            *to = u32::from(*label);
            self.label_sum += u64::from(*label);
        }
        queue.wait(&self.used)?;
        batch.values.upload(queue, gpu.span(&self.inputs)?)?;
        queue.upload(&self.labels, 0, gpu.span(&self.targets)?)?;
        self.copied.record(queue)?;
        self.is_filled = true;
        Ok(self.batch.replace(batch))
    }

    fn hand_out(&mut self) -> Batch {
        self.is_filled = false;
        Batch {
            examples: self.labels.as_slice().len(),
            inputs: self.inputs.clone(),
            targets: self.targets.clone(),
            label_sum: self.label_sum,
        }
    }
}
