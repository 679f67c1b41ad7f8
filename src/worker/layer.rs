//! Layers: differentiable functions of tensors, and modules that hold the variables of one.
//!
//! In and out: candle tensors, f32 or f64, images in the order `(batch, height, width, channels)`.
//! Each function is written once for both number types: the f64 instance is what the f32 one and the
//! gradients are checked against. A [`Tape`] records what layers do and goes back through it. All of
//! them run in the rayon pool that the caller is in, split by examples, and give the same bits whenever
//! the pool has the same number of threads; or, for tensors on a GPU, as kernels on the queue of the tape's
//! [`Gpu`](super::gpu::Gpu). A layer knows neither models nor settings.

mod activation;
mod matrix;
mod on_gpu;
mod operation;
mod partition;
mod scalar;
mod tape;

pub mod channels;
pub mod conv;
pub mod dense;
pub mod l2;
pub mod loss;
pub mod lrn;
pub mod max_pool;
pub mod pointwise;
pub mod simd;
pub mod upsample;

pub use activation::Activation;
pub use conv::Conv;
pub use dense::Dense;
pub use lrn::Lrn;
pub use max_pool::MaxPool;
pub use scalar::Scalar;
pub use tape::Tape;
pub use upsample::Upsample;

use candle_core::{Result, Tensor};

/// A function of one tensor, with variables of its own.
pub trait Layer {
    /// What the layer makes of `x`, recorded on `tape`.
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor>;
}
