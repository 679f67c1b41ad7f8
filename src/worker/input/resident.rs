//! In: one batch. Out: the same batch, again and again. Its step is one without any input.

use super::super::clock::StepClock;
use super::distort::LENGTH;
use super::examples::{Examples, Share};
use super::host::image_batch;
use super::pipeline::HostBatch;
use super::{Batch, Input};
use candle_core::{Device, Result};

/// A batch that stays on the device. Books nothing.
pub struct ResidentInput {
    batch: Batch,
}

impl ResidentInput {
    /// Distorts the first `size` examples of `share` once.
    pub fn new(examples: &Examples, share: Share, size: usize, device: &Device) -> Result<Self> {
        let mut batch = HostBatch {
            values: vec![0.0; size * LENGTH],
            labels: Vec::with_capacity(size),
        };
        for (index, image) in (0..).zip(batch.values.chunks_exact_mut(LENGTH)) {
            batch
                .labels
                .push(examples.write(share.number(index), image));
        }
        Ok(Self {
            batch: image_batch(batch, device)?,
        })
    }
}

impl Input for ResidentInput {
    fn next(&mut self, _: &mut StepClock) -> Result<Batch> {
        Ok(self.batch.clone())
    }
}
