//! What a replica trains.

use super::input::Batch;
use candle_core::{Result, Tensor, Var};

/// A model with its variables.
pub trait Model: Send + Sync {
    /// Mean loss over one batch as a scalar in the graph; none for the null model.
    fn loss(&self, batch: &Batch) -> Result<Option<Tensor>>;

    /// All trainable variables in name order, the order in which gradients travel.
    fn parameters(&self) -> &[(String, Var)];
}
