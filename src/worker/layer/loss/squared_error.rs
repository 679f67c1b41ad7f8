//! Mean squared error: `1/n Σ (x − t)²` over all `n` numbers of a batch. The gradient is
//! `2 (x − t) / n`.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use xrun::worker::layer::{Layer, Tape, loss::SquaredError};
//!
//! # fn main() -> candle_core::Result<()> {
//! let [x, targets] = [[1f32, 5.0], [2.0, 2.0]].map(|row| Tensor::new(&[row], &Device::Cpu));
//! let loss = SquaredError(&targets?).forward(&mut Tape::default(), &x?)?;
//! assert_eq!(loss.to_scalar::<f32>()?, 5.0);
//! # Ok(())
//! # }
//! ```

use super::super::Layer;
use super::super::on_gpu::{self, Sums};
use super::super::operation::{Backward, Function, View};
use super::super::scalar::Scalar;
use super::super::tape::Tape;
use crate::worker::gpu::{self, Arg, Gpu};
use candle_core::{Result, Shape, Tensor};

/// The mean over all numbers of a result that has the shape of these targets.
pub struct SquaredError<'t>(pub &'t Tensor);

impl Layer for SquaredError<'_> {
    /// The targets are no variable: they get no gradient.
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        tape.apply(MeanSquare, [x, self.0])
    }
}

struct MeanSquare;

impl Function<2> for MeanSquare {
    const NAME: &'static str = "squared error";
    type Room<T: Scalar> = ();
    type GpuRoom<T: Scalar> = Sums;

    fn result(&self, [x, targets]: [&[usize]; 2]) -> Result<Shape> {
        if x != targets {
            candle_core::bail!("results {x:?} and targets {targets:?} have different shapes");
        }
        Ok(().into())
    }

    fn forward<T: Scalar>(&self, [x, targets]: [View<T>; 2], out: &mut [T], (): &mut ()) {
        let squares = (x.data.iter().zip(targets.data)).map(|(x, target)| {
            let error = (*x - *target).to_f64();
            error * error
        });
        out[0] = T::from_f64(squares.sum::<f64>() / x.data.len() as f64);
    }

    fn backward<T: Scalar>(
        &self,
        call: Backward<T, 2>,
        [dx, _]: [Option<&mut [T]>; 2],
        (): &mut (),
    ) {
        let Some(dx) = dx else { return };
        let [x, targets] = call.args;
        let scale = T::from_f64(2.0 * call.gradient.data[0].to_f64() / x.data.len() as f64);
        for ((dx, x), target) in dx.iter_mut().zip(x.data).zip(targets.data) {
            *dx = scale * (*x - *target);
        }
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [x, targets]: [gpu::View<T>; 2],
        out: gpu::Span<T>,
        sums: &mut Sums,
    ) -> Result<()> {
        let count = x.data.len();
        let launch = Sums::launch(count);
        let [sums, arrived] = sums.args(gpu, &launch)?;
        let args = [
            x.data.into(),
            targets.data.into(),
            Arg::F64(1.0 / count as f64),
            sums,
            arrived,
            out.into(),
            Arg::size(count),
        ];
        gpu.launch::<T>("squared_error_forward", launch, &args)
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 2>,
        [dx, _]: [Option<gpu::Span<T>>; 2],
        _: &mut Sums,
    ) -> Result<()> {
        let Some(dx) = dx else { return Ok(()) };
        let [x, targets] = call.args;
        let args = [
            x.data.into(),
            targets.data.into(),
            call.gradient.data.into(),
            Arg::F64(1.0 / dx.len() as f64),
            dx.into(),
        ];
        on_gpu::each::<T>(gpu, "squared_error_backward", args, dx.len())
    }
}
