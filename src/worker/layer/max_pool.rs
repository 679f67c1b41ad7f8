//! Maximum over 3×3 windows with stride 2 and TensorFlow's SAME padding.
//!
//! `y[n, i, j, c] = max x[n, 2i + u − t, 2j + v − l, c]` over `u, v` in 0..3 that lie within the
//! image, with `t` and `l` such that the padding is halved and the odd row or column is behind:
//! for an even size all of it is behind. The gradient goes to the first maximum of a window in
//! row-major order.
//!
//! `(batch, height, width, channels)` becomes `(batch, ⌈height / 2⌉, ⌈width / 2⌉, channels)`.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use xrun::worker::layer::{Layer, MaxPool, Tape};
//!
//! # fn main() -> candle_core::Result<()> {
//! let x = Tensor::arange(0f32, 16.0, &Device::Cpu)?.reshape((1, 4, 4, 1))?;
//! let y = MaxPool.forward(&mut Tape::default(), &x)?;
//! assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [10.0, 11.0, 14.0, 15.0]);
//! # Ok(())
//! # }
//! ```

pub(super) mod windows;

use super::Layer;
use super::on_gpu;
use super::operation::{Backward, Function, View};
use super::partition::examples_per_thread;
use super::scalar::Scalar;
use super::simd::Level;
use super::tape::Tape;
use crate::worker::gpu::{self, Arg, Buffer, Gpu};
use candle_core::{Result, Shape, Tensor};
use rayon::prelude::*;
use windows::Windows;

/// A layer of maxima of windows of images `(batch, height, width, channels)`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool;

impl Layer for MaxPool {
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        tape.apply(*self, [x])
    }
}

impl Function<1> for MaxPool {
    const NAME: &'static str = "max pool";

    /// Where in its window, row by row, each result was found.
    type Room<T: Scalar> = Vec<u8>;
    type GpuRoom<T: Scalar> = Buffer<u8>;

    fn result(&self, [x]: [&[usize]; 1]) -> Result<Shape> {
        Windows::maxima_of(x)
    }

    fn forward<T: Scalar>(&self, [x]: [View<T>; 1], y: &mut [T], places: &mut Vec<u8>) {
        let windows = Windows::of(x.dims);
        places.resize(y.len(), 0);
        let (level, part) = (Level::best(), examples_per_thread(x.dims[0]));
        x.data
            .par_chunks(part * windows.image())
            .zip(y.par_chunks_mut(part * windows.result()))
            .zip(places.par_chunks_mut(part * windows.result()))
            .for_each(|((x, y), places)| windows.pool(level, x, y, places));
    }

    fn backward<T: Scalar>(
        &self,
        call: Backward<T, 1>,
        [dx]: [Option<&mut [T]>; 1],
        places: &mut Vec<u8>,
    ) {
        let Some(dx) = dx else { return };
        let [x] = call.args;
        let windows = Windows::of(x.dims);
        let (level, part) = (Level::best(), examples_per_thread(x.dims[0]));
        dx.par_chunks_mut(part * windows.image())
            .zip(call.gradient.data.par_chunks(part * windows.result()))
            .zip(places.par_chunks(part * windows.result()))
            .for_each(|((dx, dy), places)| {
                windows.spread(level, dy, places, dx);
            });
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [x]: [gpu::View<T>; 1],
        y: gpu::Span<T>,
        places: &mut Buffer<u8>,
    ) -> Result<()> {
        let places = places.at_least(gpu, y.len())?;
        let args = [x.data.into(), y.into(), places.into()];
        let args = args.into_iter().chain(sizes(x.dims));
        on_gpu::each::<T>(gpu, "max_pool_forward", args, y.len())
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 1>,
        [dx]: [Option<gpu::Span<T>>; 1],
        places: &mut Buffer<u8>,
    ) -> Result<()> {
        let Some(dx) = dx else { return Ok(()) };
        let args = [call.gradient.data.into(), places.span().into(), dx.into()];
        let args = args.into_iter().chain(sizes(call.args[0].dims));
        on_gpu::each::<T>(gpu, "max_pool_backward", args, dx.len())
    }

    fn places<T: Scalar>(places: &Vec<u8>) -> Option<&[u8]> {
        Some(places)
    }
}

/// Height, width and channels of images of this shape.
fn sizes(x: &[usize]) -> [Arg; 3] {
    [x[1], x[2], x[3]].map(Arg::size)
}

impl Windows {
    /// The shape of the maxima of images `dims`. An error where these are no images.
    pub(super) fn maxima_of(dims: &[usize]) -> Result<Shape> {
        match *dims {
            [batch, height, width, channels] if height * width * channels > 0 => {
                let windows = Self::of(dims);
                Ok((batch, windows.out_height(), windows.out_width(), channels).into())
            }
            _ => candle_core::bail!("{dims:?} is no shape of images to pool"),
        }
    }

    /// Of images whose shape was checked.
    pub(super) fn of(dims: &[usize]) -> Self {
        Self {
            height: dims[1],
            width: dims[2],
            channels: dims[3],
        }
    }
}
