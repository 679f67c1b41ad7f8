//! Local response normalisation across channels (Krizhevsky, Sutskever, Hinton 2012).
//!
//! `y[c] = x[c] · s[c]^−¾` with `s[c] = bias + α · Σ x[d]²` over the channels `d` of the same pixel
//! with `|c − d| ≤ radius`. As in TensorFlow, α is not divided by the size of the window. The
//! exponent is fixed, since square roots are vector instructions and powers are not.
//!
//! Any shape whose last dimension is the channels; the result has the same.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use xrun::worker::layer::{Layer, Lrn, Tape};
//!
//! # fn main() -> candle_core::Result<()> {
//! let lrn = Lrn { radius: 1, bias: 1.0, alpha: 5.0 };
//! let y = lrn.forward(&mut Tape::default(), &Tensor::new(&[[0f32, 0.0, 3.0, 0.0]], &Device::Cpu)?)?;
//! assert!((y.to_vec2::<f32>()?[0][2] - 3.0 * 46f32.powf(-0.75)).abs() < 1e-6);
//! # Ok(())
//! # }
//! ```

pub(super) mod pixels;
mod window_sums;

use super::Layer;
use super::on_gpu;
use super::operation::{Backward, Function, View};
use super::partition::examples_per_thread;
use super::scalar::Scalar;
use super::simd::Level;
use super::tape::Tape;
use crate::worker::gpu::{self, Arg, Buffer, Gpu};
use candle_core::{Result, Shape, Tensor};
use pixels::Pixels;
use rayon::prelude::*;

/// A normalisation without variables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lrn {
    /// Channels on each side that a channel is normalised by.
    pub radius: usize,
    pub bias: f64,
    pub alpha: f64,
}

impl Layer for Lrn {
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        tape.apply(*self, [x])
    }
}

impl Function<1> for Lrn {
    const NAME: &'static str = "local response normalisation";
    type Room<T: Scalar> = ();

    /// Each `s`.
    type GpuRoom<T: Scalar> = Buffer<T>;

    fn result(&self, [x]: [&[usize]; 1]) -> Result<Shape> {
        match x.last() {
            Some(&channels) if channels > 0 => Ok(x.into()),
            _ => candle_core::bail!("nothing to normalise in shape {x:?}"),
        }
    }

    fn forward<T: Scalar>(&self, [x]: [View<T>; 1], y: &mut [T], (): &mut ()) {
        let (pixels, part) = self.parts(&x);
        let level = Level::best();
        (x.data.par_chunks(part))
            .zip(y.par_chunks_mut(part))
            .for_each(|(x, y)| pixels.normalise(level, x, y));
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 1>, [dx]: [Option<&mut [T]>; 1], (): &mut ()) {
        let Some(dx) = dx else { return };
        let [x] = call.args;
        let (pixels, part) = self.parts(&x);
        let level = Level::best();
        (x.data.par_chunks(part))
            .zip(call.gradient.data.par_chunks(part))
            .zip(dx.par_chunks_mut(part))
            .for_each(|((x, dy), dx)| pixels.gradient(level, x, dy, dx));
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        [x]: [gpu::View<T>; 1],
        y: gpu::Span<T>,
        scales: &mut Buffer<T>,
    ) -> Result<()> {
        let scales = scales.at_least(gpu, y.len())?;
        let [channels, radius] = self.sizes(x.dims);
        let [bias, alpha] = [self.bias, self.alpha].map(Arg::real::<T>);
        let args = [x.data, y, scales].map(Arg::from);
        let args = args.into_iter().chain([channels, radius, bias, alpha]);
        on_gpu::each::<T>(gpu, "lrn_forward", args, y.len())
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 1>,
        [dx]: [Option<gpu::Span<T>>; 1],
        scales: &mut Buffer<T>,
    ) -> Result<()> {
        let Some(dx) = dx else { return Ok(()) };
        let [x] = call.args;
        let [channels, radius] = self.sizes(x.dims);
        let args = [x.data, call.gradient.data, scales.span(), dx].map(Arg::from);
        let args = (args.into_iter()).chain([channels, radius, Arg::real::<T>(self.alpha)]);
        on_gpu::each::<T>(gpu, "lrn_backward", args, dx.len())
    }
}

impl Lrn {
    /// Channels of images of this shape, and the radius.
    fn sizes(self, x: &[usize]) -> [Arg; 2] {
        [x[x.len() - 1], self.radius].map(Arg::size)
    }

    /// What is done with pixels, and the numbers that one thread takes.
    fn parts<T>(self, x: &View<T>) -> (Pixels, usize) {
        let channels = x.dims[x.dims.len() - 1];
        let pixels = x.data.len() / channels;
        let part = examples_per_thread(pixels) * channels;
        let lrn = self;
        (Pixels { lrn, channels }, part)
    }
}
