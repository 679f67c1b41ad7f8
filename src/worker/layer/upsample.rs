//! Images of twice the height and width: each pixel becomes four.
//!
//! `y[n, i, j, c] = x[n, ⌊i / 2⌋, ⌊j / 2⌋, c]`: the nearest pixel. The gradient by a pixel is the sum of
//! those by the four.
//!
//! `(batch, height, width, channels)` becomes `(batch, 2 · height, 2 · width, channels)`.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use xrun::worker::layer::{Layer, Tape, Upsample};
//!
//! # fn main() -> candle_core::Result<()> {
//! let x = Tensor::new(&[[[[1f32], [2.0]]]], &Device::Cpu)?;
//! let y = Upsample.forward(&mut Tape::default(), &x)?;
//! assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
//! # Ok(())
//! # }
//! ```

use super::Layer;
use super::on_gpu;
use super::operation::{Backward, Function, View};
use super::partition::examples_per_thread;
use super::scalar::Scalar;
use super::tape::Tape;
use crate::worker::gpu::{self, Arg, Gpu};
use candle_core::{Result, Shape, Tensor};
use rayon::prelude::*;

/// A layer that doubles height and width of images `(batch, height, width, channels)`.
#[derive(Clone, Copy, Debug)]
pub struct Upsample;

impl Layer for Upsample {
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        tape.apply(*self, [x])
    }
}

impl Function<1> for Upsample {
    const NAME: &'static str = "upsampling";
    type Room<T: Scalar> = ();
    type GpuRoom<T: Scalar> = ();

    fn result(&self, [x]: [&[usize]; 1]) -> Result<Shape> {
        match *x {
            [batch, height, width, channels] if height * width * channels > 0 => {
                Ok((batch, 2 * height, 2 * width, channels).into())
            }
            _ => candle_core::bail!("{x:?} is no shape of images"),
        }
    }

    fn forward<T: Scalar>(&self, [x]: [View<T>; 1], y: &mut [T], (): &mut ()) {
        let (row, channels) = (x.dims[2] * x.dims[3], x.dims[3]);
        let share = examples_per_thread(x.data.len() / row) * row;
        (x.data.par_chunks(share))
            .zip(y.par_chunks_mut(4 * share))
            .for_each(|(x, y)| {
                for (x, y) in x.chunks_exact(row).zip(y.chunks_exact_mut(4 * row)) {
                    double(x, y, channels);
                }
            });
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 1>, [dx]: [Option<&mut [T]>; 1], (): &mut ()) {
        let Some(dx) = dx else { return };
        let [x] = call.args;
        let (row, channels) = (x.dims[2] * x.dims[3], x.dims[3]);
        let share = examples_per_thread(x.data.len() / row) * row;
        (dx.par_chunks_mut(share))
            .zip(call.gradient.data.par_chunks(4 * share))
            .for_each(|(dx, dy)| {
                for (dx, dy) in dx.chunks_exact_mut(row).zip(dy.chunks_exact(4 * row)) {
                    halve(dy, dx, channels);
                }
            });
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [x]: [gpu::View<T>; 1],
        y: gpu::Span<T>,
        (): &mut (),
    ) -> Result<()> {
        let sizes = [x.dims[2], x.dims[3]].map(Arg::size);
        let args = [x.data, y].map(Arg::from).into_iter().chain(sizes);
        on_gpu::each::<T>(gpu, "upsample_forward", args, y.len())
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 1>,
        [dx]: [Option<gpu::Span<T>>; 1],
        (): &mut (),
    ) -> Result<()> {
        let Some(dx) = dx else { return Ok(()) };
        let [x] = call.args;
        let sizes = [x.dims[2], x.dims[3]].map(Arg::size);
        let args = [call.gradient.data, dx].map(Arg::from);
        let args = args.into_iter().chain(sizes);
        on_gpu::each::<T>(gpu, "upsample_backward", args, dx.len())
    }
}

/// One row of pixels as two rows of twice the width.
fn double<T: Scalar>(x: &[T], y: &mut [T], channels: usize) {
    let (upper, lower) = y.split_at_mut(2 * x.len());
    for (x, y) in x
        .chunks_exact(channels)
        .zip(upper.chunks_exact_mut(2 * channels))
    {
        y[..channels].copy_from_slice(x);
        y[channels..].copy_from_slice(x);
    }
    lower.copy_from_slice(upper);
}

/// The sums of the four pixels that each pixel of a row has become.
fn halve<T: Scalar>(dy: &[T], dx: &mut [T], channels: usize) {
    let (upper, lower) = dy.split_at(2 * dx.len());
    let pairs = upper
        .chunks_exact(2 * channels)
        .zip(lower.chunks_exact(2 * channels));
    for (dx, (upper, lower)) in dx.chunks_exact_mut(channels).zip(pairs) {
        for (c, dx) in dx.iter_mut().enumerate() {
            *dx = upper[c] + upper[channels + c] + (lower[c] + lower[channels + c]);
        }
    }
}
