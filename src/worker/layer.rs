//! Layers: differentiable functions of tensors, and modules that hold the variables of one.
//!
//! In and out: candle tensors, f32 or f64, images in the order `(batch, height, width, channels)`.
//! Each function is one candle operation with its own gradient, written once for both number types:
//! the f64 instance is what the f32 one and the gradients are checked against. All of them run in
//! the rayon pool that the caller is in, split by examples, and give the same bits whenever the
//! pool has the same number of threads. A layer knows neither models nor settings.

mod activation;
mod matrix;
mod operation;
mod partition;
mod scalar;

pub mod simd;

pub mod conv;
pub mod dense;
pub mod l2;
pub mod lrn;
pub mod max_pool;

pub use activation::Activation;
pub use conv::Conv;
pub use dense::Dense;
pub use lrn::Lrn;
pub use max_pool::max_pool;
