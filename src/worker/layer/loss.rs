//! What a model is trained on: the mean over a batch of how far its results are from targets.

mod cross_entropy;
mod squared_error;

pub use cross_entropy::CrossEntropy;
pub use squared_error::SquaredError;

use candle_core::{DType, Result, Tensor};

/// The number of a tensor that has one. Waits for the GPU that it is on, if any.
pub fn number(tensor: &Tensor) -> Result<f64> {
    match tensor.dtype() {
        DType::F64 => tensor.to_scalar(),
        _ => tensor.to_scalar::<f32>().map(f64::from),
    }
}
