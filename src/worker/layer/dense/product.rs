//! The three products of a fully connected layer: result, gradient of the input, gradient of the
//! weights.
//!
//! In and out: slices of numbers, row by row. All three run one register tile, `tile`: some rows of
//! the left factor, read where they lie, by a packed panel (`pack`) of the right factor (Goto, van de
//! Geijn 2008, "Anatomy of high-performance matrix multiplication"). They differ in what is packed:
//!
//! | | left, rows as they lie | right, packed | tile of |
//! |---|---|---|---|
//! | `forward` | x | w, a block at a time | y |
//! | `input_gradient` | w | dyᵀ | dxᵀ |
//! | `weight_gradient` | xᵀ, transposed in blocks | dy | dw |
//!
//! So the weights, the largest of all, are read once and never transposed. Sums over a batch or a
//! row of weights are not split over threads: any number of threads gives the same bits. Knows
//! neither tensors nor layers.

mod ahead;
mod forward;
mod input_gradient;
mod pack;
mod share;
mod tile;
mod weight_gradient;

use super::super::simd::Level;

pub use forward::Affine;
pub use weight_gradient::Correlation;

/// Sizes of a layer's product; none is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
}

/// The products of one size at one level.
///
/// Each takes `room`, which may hold anything, grows at need and is kept for the next call.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    pub sizes: Sizes,
    pub level: Level,
}

impl Product {
    /// At the widest level of this processor. Panics if a size is zero.
    pub fn new(sizes: Sizes) -> Self {
        Self::at(Level::best(), sizes)
    }

    /// Panics if a size is zero.
    pub fn at(level: Level, sizes: Sizes) -> Self {
        let Sizes {
            batch,
            inputs,
            outputs,
        } = sizes;
        assert!(
            batch > 0 && inputs > 0 && outputs > 0,
            "nothing in {sizes:?}"
        );
        Self { sizes, level }
    }

    /// Threads that are worth their start.
    fn threads(self) -> usize {
        /// Multiplications that take about as long as it takes to wake a thread.
        const SMALL: usize = 1 << 20;
        let Sizes {
            batch,
            inputs,
            outputs,
        } = self.sizes;
        let work = batch.saturating_mul(inputs).saturating_mul(outputs);
        rayon::current_num_threads().min(work.div_ceil(SMALL))
    }
}

#[cfg(test)]
mod tests;
