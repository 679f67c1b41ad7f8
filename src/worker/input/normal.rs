//! In: widths. Out: batches of the standard normal distribution, drawn inside the step. Knows no data.

use super::super::clock::StepClock;
use super::examples::Share;
use super::random::{Draws, Use};
use super::{Batch, Input};
use crate::terms::Phase;
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

mod on_gpu;

/// Fresh input and target vectors for each step, as an operation of the training graph would draw
/// them: in the rayon pool of whoever calls, booked as `distort`.
pub struct NormalInput {
    pub seed: u64,
    pub share: Share,
    pub batch: usize,
    /// Values of an input vector and of a target vector.
    pub widths: (usize, usize),
    /// Examples taken so far.
    pub taken: u64,
}

impl NormalInput {
    /// One vector for each example of the batch, `(batch, width)`.
    fn draw(&self, purpose: Use, width: usize) -> Result<Tensor> {
        let mut values = vec![0.0; self.batch * width];
        let rows = values.par_chunks_exact_mut(width).enumerate();
        rows.for_each(|(row, values)| {
            let number = self.share.number(self.taken + row as u64);
            Draws::new(self.seed, purpose, number).fill_normal(values);
        });
        Tensor::from_vec(values, (self.batch, width), &Device::Cpu)
    }
}

impl Input for NormalInput {
    fn next(&mut self, clock: &mut StepClock) -> Result<Batch> {
        let (inputs, targets) = rayon::join(
            || self.draw(Use::NormalInput, self.widths.0),
            || self.draw(Use::NormalTarget, self.widths.1),
        );
        let (inputs, targets) = (inputs?, targets?);
        self.taken += self.batch as u64;
        clock.book(Phase::Distort);
        Ok(Batch {
            examples: self.batch,
            inputs,
            targets,
            label_sum: 0,
        })
    }
}
