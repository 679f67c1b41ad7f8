//! Some channels of images, and the channels of two images side by side.
//!
//! Any shape whose last dimension is the channels. In a network that goes over a sequence, the frames
//! of an image are its channels.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use xrun::worker::layer::{Tape, channels};
//!
//! # fn main() -> candle_core::Result<()> {
//! let [a, b] = [[[1f32, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]].map(|x| Tensor::new(&x, &Device::Cpu));
//! let tape = &mut Tape::default();
//! let joined = channels::concatenate(tape, &a?, &b?)?;
//! assert_eq!(joined.to_vec2::<f32>()?, [[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]);
//! let middle = channels::select(tape, &joined, 1..3)?;
//! assert_eq!(middle.to_vec2::<f32>()?, [[2.0, 5.0], [4.0, 7.0]]);
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
use std::ops::Range;

/// These channels of `x`.
pub fn select(tape: &mut Tape, x: &Tensor, channels: Range<usize>) -> Result<Tensor> {
    tape.apply(Select(channels), [x])
}

/// The channels of `a`, and behind them those of `b`, another tensor of the same height and width.
pub fn concatenate(tape: &mut Tape, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    tape.apply(Concatenate, [a, b])
}

struct Select(Range<usize>);

impl Function<1> for Select {
    const NAME: &'static str = "selection of channels";
    type Room<T: Scalar> = ();
    type GpuRoom<T: Scalar> = ();

    fn result(&self, [x]: [&[usize]; 1]) -> Result<Shape> {
        let [rest @ .., channels] = x else {
            candle_core::bail!("a number has no channels");
        };
        if self.0.is_empty() || self.0.end > *channels {
            candle_core::bail!("{:?} are no channels of {x:?}", self.0);
        }
        Ok([rest, &[self.0.len()]].concat().into())
    }

    fn forward<T: Scalar>(&self, [x]: [View<T>; 1], y: &mut [T], (): &mut ()) {
        let channels = x.dims[x.dims.len() - 1];
        pixels((y, self.0.len()), (x.data, channels), |y, x| {
            y.copy_from_slice(&x[self.0.clone()]);
        });
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 1>, [dx]: [Option<&mut [T]>; 1], (): &mut ()) {
        let Some(dx) = dx else { return };
        let [x] = call.args;
        let channels = x.dims[x.dims.len() - 1];
        pixels(
            (dx, channels),
            (call.gradient.data, self.0.len()),
            |dx, dy| {
                dx.fill(T::zero());
                dx[self.0.clone()].copy_from_slice(dy);
            },
        );
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [x]: [gpu::View<T>; 1],
        y: gpu::Span<T>,
        (): &mut (),
    ) -> Result<()> {
        let sizes = self.sizes(x.dims);
        let args = [x.data, y].map(Arg::from).into_iter().chain(sizes);
        on_gpu::each::<T>(gpu, "select_forward", args, y.len())
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 1>,
        [dx]: [Option<gpu::Span<T>>; 1],
        (): &mut (),
    ) -> Result<()> {
        let Some(dx) = dx else { return Ok(()) };
        let sizes = self.sizes(call.args[0].dims);
        let args = [call.gradient.data, dx].map(Arg::from);
        let args = args.into_iter().chain(sizes);
        on_gpu::each::<T>(gpu, "select_backward", args, dx.len())
    }
}

impl Select {
    /// Channels of images of this shape, the first that is selected, and how many are.
    fn sizes(&self, x: &[usize]) -> [Arg; 3] {
        [x[x.len() - 1], self.0.start, self.0.len()].map(Arg::size)
    }
}

struct Concatenate;

impl Function<2> for Concatenate {
    const NAME: &'static str = "concatenation of channels";
    type Room<T: Scalar> = ();
    type GpuRoom<T: Scalar> = ();

    fn result(&self, [a, b]: [&[usize]; 2]) -> Result<Shape> {
        match (a, b) {
            ([rest @ .., of_a], [rest_of_b @ .., of_b]) if rest == rest_of_b => {
                Ok([rest, &[of_a + of_b]].concat().into())
            }
            _ => candle_core::bail!("{a:?} and {b:?} differ in more than their channels"),
        }
    }

    fn forward<T: Scalar>(&self, [a, b]: [View<T>; 2], y: &mut [T], (): &mut ()) {
        let [of_a, of_b] = [a, b].map(|arg| arg.dims[arg.dims.len() - 1]);
        let of_y = of_a + of_b;
        pixels((&mut *y, of_y), (a.data, of_a), |y, a| {
            y[..of_a].copy_from_slice(a)
        });
        pixels((y, of_y), (b.data, of_b), |y, b| {
            y[of_a..].copy_from_slice(b)
        });
    }

    fn backward<T: Scalar>(
        &self,
        call: Backward<T, 2>,
        [da, db]: [Option<&mut [T]>; 2],
        (): &mut (),
    ) {
        let [of_a, of_b] = call.args.map(|arg| arg.dims[arg.dims.len() - 1]);
        let dy = (call.gradient.data, of_a + of_b);
        if let Some(da) = da {
            pixels((da, of_a), dy, |da, dy| da.copy_from_slice(&dy[..of_a]));
        }
        if let Some(db) = db {
            pixels((db, of_b), dy, |db, dy| db.copy_from_slice(&dy[of_a..]));
        }
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [a, b]: [gpu::View<T>; 2],
        y: gpu::Span<T>,
        (): &mut (),
    ) -> Result<()> {
        let sizes = [a, b].map(|arg| Arg::size(arg.dims[arg.dims.len() - 1]));
        let args = [a.data, b.data, y].map(Arg::from).into_iter().chain(sizes);
        on_gpu::each::<T>(gpu, "concatenate_forward", args, y.len())
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 2>,
        [da, db]: [Option<gpu::Span<T>>; 2],
        (): &mut (),
    ) -> Result<()> {
        let dy = call.gradient.data;
        let sizes = (call.args).map(|arg| Arg::size(arg.dims[arg.dims.len() - 1]));
        let args = [dy.into(), Arg::maybe(da), Arg::maybe(db)];
        let args = args.into_iter().chain(sizes);
        on_gpu::each::<T>(gpu, "concatenate_backward", args, dy.len())
    }
}

/// Calls `each` with every pixel of the first, to be written, and the same of the second. Each comes
/// with its number of channels.
fn pixels<T: Scalar>(
    (to, of_to): (&mut [T], usize),
    (from, of_from): (&[T], usize),
    each: impl Fn(&mut [T], &[T]) + Sync,
) {
    let share = examples_per_thread(to.len() / of_to);
    (to.par_chunks_mut(share * of_to))
        .zip(from.par_chunks(share * of_from))
        .for_each(|(to, from)| {
            for (to, from) in to.chunks_exact_mut(of_to).zip(from.chunks_exact(of_from)) {
                each(to, from);
            }
        });
}
