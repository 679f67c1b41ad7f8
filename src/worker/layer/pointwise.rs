//! Functions of single numbers, and of pairs of them at the same place of two tensors.
//!
//! | function | result | gradient by the arguments |
//! |---|---|---|
//! | [`sigmoid`] | `y = 1 / (1 + e^−x)` | `y (1 − y)` |
//! | [`tanh`] | `y = tanh x` | `1 − y²` |
//! | [`sum`] | `a + b` | `1`, `1` |
//! | [`product`] | `a · b` | `b`, `a` |
//!
//! Tensors of any shape; the two arguments of a pair have the same one. Plain loops, which the compiler
//! vectorises at the width that the build allows; on a GPU a kernel each.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use xrun::worker::layer::{Tape, pointwise};
//!
//! # fn main() -> candle_core::Result<()> {
//! let [a, b] = [[0f32, 2.0], [1.0, -3.0]].map(|row| Tensor::new(&row, &Device::Cpu));
//! let y = pointwise::product(&mut Tape::default(), &a?, &b?)?;
//! assert_eq!(y.to_vec1::<f32>()?, [0.0, -6.0]);
//! # Ok(())
//! # }
//! ```

use super::on_gpu;
use super::operation::{Backward, Function, View};
use super::partition::examples_per_thread;
use super::scalar::Scalar;
use super::tape::Tape;
use crate::worker::gpu::{self, Arg, Gpu};
use candle_core::{Result, Shape, Tensor};
use rayon::prelude::*;

/// `1 / (1 + e^−x)`
pub fn sigmoid(tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
    tape.apply(Squash::Sigmoid, [x])
}

/// `tanh x`
pub fn tanh(tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
    tape.apply(Squash::Tanh, [x])
}

/// `a + b`; the two are not the same tensor.
pub fn sum(tape: &mut Tape, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    tape.apply(Sum, [a, b])
}

/// `a · b`, number by number; the two are not the same tensor.
pub fn product(tape: &mut Tape, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    tape.apply(Product, [a, b])
}

/// A function from all numbers into an interval, whose slope follows from its result.
enum Squash {
    Sigmoid,
    Tanh,
}

impl Function<1> for Squash {
    const NAME: &'static str = "sigmoid or tanh";
    type Room<T: Scalar> = ();
    type GpuRoom<T: Scalar> = ();

    fn result(&self, [x]: [&[usize]; 1]) -> Result<Shape> {
        Ok(x.into())
    }

    fn forward<T: Scalar>(&self, [x]: [View<T>; 1], y: &mut [T], (): &mut ()) {
        match self {
            Self::Sigmoid => each(y, [x.data], |[x]| {
                T::one() / (T::one() + (T::zero() - x).exponential())
            }),
            Self::Tanh => each(y, [x.data], |[x]| x.hyperbolic_tangent()),
        }
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 1>, [dx]: [Option<&mut [T]>; 1], (): &mut ()) {
        let Some(dx) = dx else { return };
        let known = [call.result.data, call.gradient.data];
        match self {
            Self::Sigmoid => each(dx, known, |[y, dy]| dy * y * (T::one() - y)),
            Self::Tanh => each(dx, known, |[y, dy]| dy * (T::one() - y * y)),
        }
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [x]: [gpu::View<T>; 1],
        y: gpu::Span<T>,
        (): &mut (),
    ) -> Result<()> {
        let kernel = match self {
            Self::Sigmoid => "sigmoid_forward",
            Self::Tanh => "tanh_forward",
        };
        on_gpu::each::<T>(gpu, kernel, [x.data.into(), y.into()], y.len())
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 1>,
        [dx]: [Option<gpu::Span<T>>; 1],
        (): &mut (),
    ) -> Result<()> {
        let Some(dx) = dx else { return Ok(()) };
        let kernel = match self {
            Self::Sigmoid => "sigmoid_backward",
            Self::Tanh => "tanh_backward",
        };
        let args = [call.result.data, call.gradient.data, dx].map(Arg::from);
        on_gpu::each::<T>(gpu, kernel, args, dx.len())
    }
}

struct Sum;

impl Function<2> for Sum {
    const NAME: &'static str = "sum";
    type Room<T: Scalar> = ();
    type GpuRoom<T: Scalar> = ();

    fn result(&self, args: [&[usize]; 2]) -> Result<Shape> {
        of_the_same_shape(args)
    }

    fn forward<T: Scalar>(&self, [a, b]: [View<T>; 2], y: &mut [T], (): &mut ()) {
        each(y, [a.data, b.data], |[a, b]| a + b);
    }

    fn backward<T: Scalar>(
        &self,
        call: Backward<T, 2>,
        gradients: [Option<&mut [T]>; 2],
        (): &mut (),
    ) {
        for gradient in gradients.into_iter().flatten() {
            gradient.copy_from_slice(call.gradient.data);
        }
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [a, b]: [gpu::View<T>; 2],
        y: gpu::Span<T>,
        (): &mut (),
    ) -> Result<()> {
        let args = [a.data, b.data, y].map(Arg::from);
        on_gpu::each::<T>(gpu, "sum_forward", args, y.len())
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 2>,
        [da, db]: [Option<gpu::Span<T>>; 2],
        (): &mut (),
    ) -> Result<()> {
        let dy = call.gradient.data;
        let args = [dy.into(), Arg::maybe(da), Arg::maybe(db)];
        on_gpu::each::<T>(gpu, "sum_backward", args, dy.len())
    }
}

struct Product;

impl Function<2> for Product {
    const NAME: &'static str = "product";
    type Room<T: Scalar> = ();
    type GpuRoom<T: Scalar> = ();

    fn result(&self, args: [&[usize]; 2]) -> Result<Shape> {
        of_the_same_shape(args)
    }

    fn forward<T: Scalar>(&self, [a, b]: [View<T>; 2], y: &mut [T], (): &mut ()) {
        each(y, [a.data, b.data], |[a, b]| a * b);
    }

    fn backward<T: Scalar>(
        &self,
        call: Backward<T, 2>,
        [da, db]: [Option<&mut [T]>; 2],
        (): &mut (),
    ) {
        let ([a, b], dy) = (call.args, call.gradient.data);
        if let Some(da) = da {
            each(da, [b.data, dy], |[b, dy]| b * dy);
        }
        if let Some(db) = db {
            each(db, [a.data, dy], |[a, dy]| a * dy);
        }
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [a, b]: [gpu::View<T>; 2],
        y: gpu::Span<T>,
        (): &mut (),
    ) -> Result<()> {
        let args = [a.data, b.data, y].map(Arg::from);
        on_gpu::each::<T>(gpu, "product_forward", args, y.len())
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 2>,
        [da, db]: [Option<gpu::Span<T>>; 2],
        (): &mut (),
    ) -> Result<()> {
        let ([a, b], dy) = (call.args, call.gradient.data);
        let known = [a.data, b.data, dy].map(Arg::from);
        let gradients = [da, db].map(Arg::maybe);
        let args = known.into_iter().chain(gradients);
        on_gpu::each::<T>(gpu, "product_backward", args, dy.len())
    }
}

fn of_the_same_shape([a, b]: [&[usize]; 2]) -> Result<Shape> {
    if a != b {
        candle_core::bail!("{a:?} and {b:?} are different shapes");
    }
    Ok(a.into())
}

/// Overwrites each number of `out` with what `f` gives for the numbers at its place.
fn each<T: Scalar, const N: usize>(out: &mut [T], args: [&[T]; N], f: impl Fn([T; N]) -> T + Sync) {
    let share = examples_per_thread(out.len());
    out.par_chunks_mut(share)
        .enumerate()
        .for_each(|(part, out)| {
            let start = part * share;
            let args = args.map(|arg| &arg[start..start + out.len()]);
            for (i, out) in out.iter_mut().enumerate() {
                *out = f(args.map(|arg| arg[i]));
            }
        });
}
