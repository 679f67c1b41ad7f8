//! In: one batch, or an input that makes it. Out: the same batch, again and again. Its step is one
//! without any input.

use super::super::clock::StepClock;
use super::examples::{Example, Examples, Share};
use super::host::image_batch;
use super::pipeline::HostBatch;
use super::{Batch, Input};
use crate::units::Seconds;
use candle_core::{Device, Result};

/// A batch that stays on the device. Books nothing.
pub struct ResidentInput {
    batch: Batch,
}

impl ResidentInput {
    /// Distorts the first `size` examples of `share` once.
    pub fn images(examples: &Examples, share: Share, size: usize, device: &Device) -> Result<Self> {
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

/// The first batch of another input. Books nothing.
pub struct FirstOf {
    input: Box<dyn Input>,
    batch: Option<Batch>,
}

impl FirstOf {
    pub fn new(input: Box<dyn Input>) -> Self {
        Self { input, batch: None }
    }
}

impl Input for FirstOf {
    /// Makes the batch in the pool of the replica, before its first step.
    fn prefill(&mut self) -> Result<Seconds> {
        self.next(&mut StepClock::start())?;
        Ok(Seconds(0.0))
    }

    fn next(&mut self, _: &mut StepClock) -> Result<Batch> {
        let batch = match self.batch.take() {
            Some(batch) => batch,
            None => self.input.next(&mut StepClock::start())?,
        };
        Ok(self.batch.insert(batch).clone())
    }
}
