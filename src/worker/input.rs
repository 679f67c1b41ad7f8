//! Where batches come from.

use super::clock::StepClock;
use candle_core::{Result, Tensor};

/// What one replica trains on in one step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Number of examples.
    pub examples: usize,
    /// Images `(batch, height, width, channels)` or vectors `(batch, width)`, f32.
    pub inputs: Tensor,
    /// Class labels `(batch,)` as u32, or target vectors `(batch, width)` as f32.
    pub targets: Tensor,
    /// Sum of the class labels; zero where there are none. Evidence that the input was read.
    pub label_sum: u64,
}

/// The input of one replica.
pub trait Input: Send {
    /// The next batch. Books what it does as `input_wait`, `copy` and `distort`.
    fn next(&mut self, clock: &mut StepClock) -> Result<Batch>;
}
