//! Half the squared length of a tensor, `½ Σ w²`: what weight decay adds to a loss. Its gradient is
//! `w`.
//!
//! ```
//! use candle_core::{Device, Var};
//!
//! # fn main() -> candle_core::Result<()> {
//! let w = Var::new(&[3f32, -4.0], &Device::Cpu)?;
//! let loss = xrun::worker::layer::l2::half_square(&w)?;
//! assert_eq!(loss.to_scalar::<f32>()?, 12.5);
//! assert_eq!(loss.backward()?.get(&w).unwrap().to_vec1::<f32>()?, [3.0, -4.0]);
//! # Ok(())
//! # }
//! ```

use super::operation::{Backward, Function, View, apply1};
use super::scalar::Scalar;
use candle_core::{Result, Shape, Tensor};
use rayon::prelude::*;

/// `½ Σ w²` as a scalar, for `w` of any shape.
pub fn half_square(w: &Tensor) -> Result<Tensor> {
    apply1(HalfSquare, w)
}

/// Numbers that are summed one after the other; sums of chunks are added in order.
const CHUNK: usize = 1 << 14;

struct HalfSquare;

impl Function<1> for HalfSquare {
    const NAME: &'static str = "half square";

    fn forward<T: Scalar>(&self, [w]: [View<T>; 1]) -> Result<(Vec<T>, Shape)> {
        let sums: Vec<f64> = w.data.par_chunks(CHUNK).map(sum_of_squares).collect();
        let sum: f64 = sums.iter().sum();
        Ok((vec![T::from_f64(sum / 2.0)], ().into()))
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 1>) -> Result<[Option<Vec<T>>; 1]> {
        let scale = call.gradient.data[0];
        let [w] = call.args;
        Ok([Some(w.data.iter().map(|w| *w * scale).collect())])
    }
}

/// In f64 whatever the numbers are, since a million small terms are added.
fn sum_of_squares<T: Scalar>(numbers: &[T]) -> f64 {
    numbers.iter().map(|w| w.to_f64() * w.to_f64()).sum()
}
