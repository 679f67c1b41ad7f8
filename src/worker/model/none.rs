//! The null model: what is left of a step when nothing is computed.

use super::{Loss, Model};
use crate::worker::input::Batch;
use crate::worker::layer::Tape;
use candle_core::{Result, Var};

/// Takes its batches, has no variables and no loss.
pub struct NullModel;

impl Model for NullModel {
    fn record(&self, _: &mut Tape, _: &Batch) -> Result<Option<Loss>> {
        Ok(None)
    }

    fn parameters(&self) -> &[(String, Var)] {
        &[]
    }
}
