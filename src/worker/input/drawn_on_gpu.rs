//! In: what a kernel can draw. Out: batches that it draws on a GPU: the numbers that the host would draw,
//! within rounding. Knows nothing of what they mean.

use super::{Batch, Input};
use crate::terms::Phase;
use crate::worker::clock::StepClock;
use crate::worker::gpu::{Gpu, Span};
use candle_core::{DType, Result, Tensor};

/// An input whose batches one kernel draws.
pub trait Drawn: Send {
    /// Examples of a batch.
    fn examples(&self) -> usize;

    /// Dimensions of the inputs and of the targets of a batch.
    fn dims(&self) -> [Vec<usize>; 2];

    /// Puts the kernel that draws the next batch on the main queue.
    fn draw(&mut self, gpu: &Gpu, to: [Span<f32>; 2]) -> Result<()>;
}

/// Draws each batch into the same tensors, inside the step. Booked as `distort`.
pub struct DrawnOnGpu<D> {
    drawn: D,
    gpu: Gpu,
    tensors: [Tensor; 2],
}

impl<D: Drawn> DrawnOnGpu<D> {
    pub fn new(drawn: D, gpu: Gpu) -> Result<Self> {
        let [inputs, targets] = drawn
            .dims()
            .map(|dims| Tensor::zeros(dims, DType::F32, gpu.device()));
        Ok(Self {
            drawn,
            tensors: [inputs?, targets?],
            gpu,
        })
    }
}

impl<D: Drawn> Input for DrawnOnGpu<D> {
    fn next(&mut self, clock: &mut StepClock) -> Result<Batch> {
        let [inputs, targets] = &self.tensors;
        let to = [self.gpu.span(inputs)?, self.gpu.span(targets)?];
        self.drawn.draw(&self.gpu, to)?;
        clock.book(Phase::Distort);
        Ok(Batch {
            examples: self.drawn.examples(),
            inputs: inputs.clone(),
            targets: targets.clone(),
            label_sum: 0,
        })
    }
}
