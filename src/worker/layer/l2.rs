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

use super::loss;
use super::on_gpu::{self, Sums};
use super::operation::{Backward, Function, View, numbers};
use super::scalar::Scalar;
use super::tape::Tape;
use crate::worker::gpu::{self, Arg, Gpu};
use candle_core::{DType, Result, Shape, Tensor};
use rayon::prelude::*;

/// What weight decay adds to the loss of a pass.
#[derive(Clone, Debug)]
pub enum Penalty {
    Known(f64),
    /// Is known when the GPU has come to it, until the tape begins its next pass.
    OnGpu {
        half_square: Tensor,
        decay: f64,
    },
}

impl Penalty {
    /// Waits for the GPU that it is on, if any.
    pub fn value(&self) -> Result<f64> {
        match self {
            Self::Known(penalty) => Ok(*penalty),
            Self::OnGpu { half_square, decay } => Ok(decay * loss::number(half_square)?),
        }
    }
}

/// `decay · ½ Σ w²`, computed where the tensors of `tape` are.
pub fn penalty(tape: &mut Tape, decay: f64, w: &Tensor) -> Result<Penalty> {
    if tape.gpu().is_none() {
        return Ok(Penalty::Known(decay * half_square(w)?));
    }
    let half_square = match w.dtype() {
        DType::F64 => tape.aside::<f64, _>(HalfSquare, w)?,
        _ => tape.aside::<f32, _>(HalfSquare, w)?,
    };
    Ok(Penalty::OnGpu { half_square, decay })
}

/// `½ Σ w²` of a contiguous tensor of any shape.
pub fn half_square(w: &Tensor) -> Result<f64> {
    match w.dtype() {
        DType::F32 => numbers(w, sum_of_squares::<f32>),
        DType::F64 => numbers(w, sum_of_squares::<f64>),
        other => candle_core::bail!("weights are f32 or f64, not {other:?}"),
    }
    .map(|sum| sum / 2.0)
}

/// The same as a function of tensors: a tensor of one number, whose gradient is `w`.
struct HalfSquare;

impl Function<1> for HalfSquare {
    const NAME: &'static str = "half the squared length";
    type Room<T: Scalar> = ();
    type GpuRoom<T: Scalar> = Sums;

    fn result(&self, _: [&[usize]; 1]) -> Result<Shape> {
        Ok(().into())
    }

    fn forward<T: Scalar>(&self, [w]: [View<T>; 1], out: &mut [T], (): &mut ()) {
        out[0] = T::from_f64(sum_of_squares(w.data) / 2.0);
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 1>, [dw]: [Option<&mut [T]>; 1], (): &mut ()) {
        let Some(dw) = dw else { return };
        let ([w], factor) = (call.args, call.gradient.data[0]);
        for (dw, w) in dw.iter_mut().zip(w.data) {
            *dw = factor * *w;
        }
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [w]: [gpu::View<T>; 1],
        out: gpu::Span<T>,
        sums: &mut Sums,
    ) -> Result<()> {
        let launch = Sums::launch(w.data.len());
        let [sums, arrived] = sums.args(gpu, &launch)?;
        let count = Arg::size(w.data.len());
        let args = [w.data.into(), sums, arrived, out.into(), count];
        gpu.launch::<T>("half_square_forward", launch, &args)
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 1>,
        [dw]: [Option<gpu::Span<T>>; 1],
        _: &mut Sums,
    ) -> Result<()> {
        let Some(dw) = dw else { return Ok(()) };
        let args = [call.args[0].data, call.gradient.data, dw].map(Arg::from);
        on_gpu::each::<T>(gpu, "half_square_backward", args, dw.len())
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn the_function_of_tensors_has_the_same_value_and_the_weights_as_gradient() {
        let numbers: Vec<f64> = (0..100).map(|i| f64::from(i * i % 17) - 8.0).collect();
        let w = Var::new(numbers.as_slice(), &Device::Cpu).unwrap();
        let mut tape = Tape::default();
        let of_tensors = tape.apply(HalfSquare, [&w]).unwrap();
        let value = loss::number(&of_tensors).unwrap();
        assert_eq!(value, half_square(&w).unwrap());
        assert_eq!(
            penalty(&mut tape, 0.5, &w).unwrap().value().unwrap(),
            value / 2.0
        );
        tape.backward().unwrap();
        let gradient = tape.gradient(&w).unwrap();
        assert_eq!(gradient.to_vec1::<f64>().unwrap(), numbers);
    }
}
