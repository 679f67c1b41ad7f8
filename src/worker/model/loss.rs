//! The loss of one pass. In: tensors of one number. Out: its value, when somebody asks for it: whoever
//! does not ask, does not wait for the GPU on which they are. Knows no models.

use crate::worker::layer::l2::Penalty;
use crate::worker::layer::loss::number;
use candle_core::{Result, Tensor};

/// A mean over a batch, and what is added to it, as one pass has recorded them: the next pass on the
/// same tape overwrites both.
#[derive(Clone, Debug)]
pub struct Loss {
    pub mean: Tensor,
    pub penalties: Vec<Penalty>,
}

impl Loss {
    /// Of a model that adds nothing to the mean.
    pub fn of(mean: Tensor) -> Self {
        Self {
            mean,
            penalties: Vec::new(),
        }
    }

    /// The sum of mean and penalties. Waits for the GPU that they are on, if any.
    pub fn value(&self) -> Result<f64> {
        let mut sum = 0.0;
        for penalty in &self.penalties {
            sum += penalty.value()?;
        }
        Ok(number(&self.mean)? + sum)
    }
}
