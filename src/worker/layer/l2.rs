//! Half the squared length of a tensor: what weight decay adds to a loss.
//!
//! ```
//! use candle_core::{Device, Tensor};
//!
//! # fn main() -> candle_core::Result<()> {
//! let w = Tensor::new(&[3f32, -4.0], &Device::Cpu)?;
//! assert_eq!(xrun::worker::layer::l2::half_square(&w)?, 12.5);
//! # Ok(())
//! # }
//! ```

use super::operation::numbers;
use super::scalar::Scalar;
use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

/// `½ Σ w²` of a contiguous tensor of any shape.
pub fn half_square(w: &Tensor) -> Result<f64> {
    match w.dtype() {
        DType::F32 => numbers(w, sum_of_squares::<f32>),
        DType::F64 => numbers(w, sum_of_squares::<f64>),
        other => candle_core::bail!("weights are f32 or f64, not {other:?}"),
    }
    .map(|sum| sum / 2.0)
}

/// Numbers that are summed one after the other; sums of chunks are added in order.
const CHUNK: usize = 1 << 14;

/// Numbers whose squares are summed in their own type.
const LANES: usize = 64;

/// In f64 over all, whatever the numbers are, since a million small terms are added.
fn sum_of_squares<T: Scalar>(numbers: &[T]) -> f64 {
    let sums: Vec<f64> = numbers.par_chunks(CHUNK).map(sum_of_chunk).collect();
    sums.iter().sum()
}

fn sum_of_chunk<T: Scalar>(numbers: &[T]) -> f64 {
    let mut sums = [T::zero(); LANES];
    for numbers in numbers.chunks(LANES) {
        for (sum, w) in sums.iter_mut().zip(numbers) {
            *sum += *w * *w;
        }
    }
    sums.iter().map(|sum| sum.to_f64()).sum()
}
