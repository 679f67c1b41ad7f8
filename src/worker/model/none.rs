//! The null model: what is left of a step when nothing is computed.

use super::Model;
use crate::worker::input::Batch;
use crate::worker::layer::Tape;
use candle_core::{Result, Var};

/// Takes its batches, has no variables and no loss.
pub struct NullModel;

impl Model for NullModel {
    fn loss(&self, _: &mut Tape, _: &Batch) -> Result<Option<f64>> {
        Ok(None)
    }

    fn parameters(&self) -> &[(String, Var)] {
        &[]
    }
}
