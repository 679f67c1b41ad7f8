//! The null model: what is left of a step when nothing is computed.

use super::Model;
use crate::worker::input::Batch;
use candle_core::{Result, Tensor, Var};

/// Takes its batches, has no variables and no loss.
pub struct NullModel;

impl Model for NullModel {
    fn loss(&self, _: &Batch) -> Result<Option<Tensor>> {
        Ok(None)
    }

    fn parameters(&self) -> &[(String, Var)] {
        &[]
    }
}
