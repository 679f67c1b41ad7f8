//! Biases and the function behind them on a GPU.

use super::super::scalar::Scalar;
use super::Activation;
use crate::worker::gpu::{Arg, Gpu, Launch, Span};
use candle_core::Result;

impl Activation {
    /// As kernels are told.
    pub(in super::super) fn is_rectified(self) -> Arg {
        Arg::U32(u32::from(self == Self::Relu))
    }

    /// Adds biases to each row of `y` and applies the function.
    pub(in super::super) fn add_biases_on_gpu<T: Scalar>(
        self,
        gpu: &Gpu,
        y: Span<T>,
        biases: Span<T>,
    ) -> Result<()> {
        let args = [
            y.into(),
            biases.into(),
            Arg::size(y.len()),
            Arg::size(biases.len()),
            self.is_rectified(),
        ];
        match biases.len().is_multiple_of(4) && y.has_fours() && biases.has_fours() {
            true => gpu.launch::<T>("add_biases_by_four", Launch::each(y.len() / 4), &args),
            false => gpu.launch::<T>("add_biases", Launch::each(y.len()), &args),
        }
    }
}
