//! What a model is trained on: the mean over a batch of how far its results are from targets.

mod cross_entropy;
mod squared_error;

pub use cross_entropy::CrossEntropy;
pub use squared_error::SquaredError;
