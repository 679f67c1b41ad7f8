//! In: one batch. Out: the same batch, again and again. Its step is one without any input.

use super::super::clock::StepClock;
use super::examples::{Example, Examples, Share};
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
        let (mut batch, mut example) = (HostBatch::default(), Example::default());
        for index in 0..size as u64 {
            let number = share.number(index);
            example.take(examples.record(number), &examples.distortion(number));
            example.append(&mut batch);
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
