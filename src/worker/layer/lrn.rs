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

use super::Layer;
use super::operation::{Backward, Function, View};
use super::partition::examples_per_thread;
use super::scalar::Scalar;
use super::tape::Tape;
use candle_core::{Result, Shape, Tensor};
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

    fn result(&self, [x]: [&[usize]; 1]) -> Result<Shape> {
        match x.last() {
            Some(&channels) if channels > 0 => Ok(x.into()),
            _ => candle_core::bail!("nothing to normalise in shape {x:?}"),
        }
    }

    fn forward<T: Scalar>(&self, [x]: [View<T>; 1], y: &mut [T], (): &mut ()) {
        let (channels, part) = parts(&x);
        (x.data.par_chunks(part).zip(y.par_chunks_mut(part))).for_each(|(x, y)| {
            let mut pixel = Pixel::new(self, channels);
            for (x, y) in x.chunks(channels).zip(y.chunks_mut(channels)) {
                pixel.normalise(x, y);
            }
        });
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 1>, [dx]: [Option<&mut [T]>; 1], (): &mut ()) {
        let Some(dx) = dx else { return };
        let [x] = call.args;
        let (channels, part) = parts(&x);
        x.data
            .par_chunks(part)
            .zip(call.gradient.data.par_chunks(part))
            .zip(dx.par_chunks_mut(part))
            .for_each(|((x, dy), dx)| {
                let mut pixel = Pixel::new(self, channels);
                let gradients = dy.chunks(channels).zip(dx.chunks_mut(channels));
                for (x, (dy, dx)) in x.chunks(channels).zip(gradients) {
                    pixel.gradient(x, dy, dx);
                }
            });
    }
}

/// Channels of a pixel, and the numbers that one thread takes.
fn parts<T>(x: &View<T>) -> (usize, usize) {
    let channels = x.dims[x.dims.len() - 1];
    let pixels = x.data.len() / channels;
    (channels, examples_per_thread(pixels) * channels)
}

/// The channels of one pixel at a time, with room for what is computed of them.
struct Pixel<T> {
    radius: usize,
    bias: T,
    alpha: T,
    /// Terms of window sums, with `radius` zeros on both ends.
    terms: Vec<T>,
    sums: Vec<T>,
    scales: Vec<T>,
}

impl<T: Scalar> Pixel<T> {
    fn new(lrn: &Lrn, channels: usize) -> Self {
        Self {
            radius: lrn.radius,
            bias: T::from_f64(lrn.bias),
            alpha: T::from_f64(lrn.alpha),
            terms: vec![T::zero(); channels + 2 * lrn.radius],
            sums: vec![T::zero(); channels],
            scales: vec![T::zero(); channels],
        }
    }

    fn normalise(&mut self, x: &[T], y: &mut [T]) {
        self.sum_squares(x);
        for ((y, x), sum) in y.iter_mut().zip(x).zip(&self.sums) {
            let root = (self.bias + self.alpha * *sum).square_root();
            *y = *x / (root * root.square_root());
        }
    }

    /// `dx[c] = dy[c] · s[c]^−¾ − 1.5 α x[c] · Σ dy[d] x[d] s[d]^−7/4` over the same window.
    fn gradient(&mut self, x: &[T], dy: &[T], dx: &mut [T]) {
        self.sum_squares(x);
        let terms = &mut self.terms[self.radius..];
        let scales = self.scales.iter_mut().zip(&self.sums);
        for (((term, (scale, sum)), x), dy) in terms.iter_mut().zip(scales).zip(x).zip(dy) {
            let s = self.bias + self.alpha * *sum;
            let root = s.square_root();
            let scaled = *dy / (root * root.square_root());
            *scale = scaled;
            *term = scaled * *x / s;
        }
        self.sum_windows();
        let factor = T::from_f64(1.5) * self.alpha;
        for ((dx, x), (scale, sum)) in dx.iter_mut().zip(x).zip(self.scales.iter().zip(&self.sums))
        {
            *dx = *scale - factor * *x * *sum;
        }
    }

    fn sum_squares(&mut self, x: &[T]) {
        for (term, x) in self.terms[self.radius..].iter_mut().zip(x) {
            *term = *x * *x;
        }
        self.sum_windows();
    }

    /// One pass for each place in the window, so that a pass is a loop over neighbours in memory.
    fn sum_windows(&mut self) {
        let channels = self.sums.len();
        self.sums.copy_from_slice(&self.terms[..channels]);
        for shift in 1..=2 * self.radius {
            for (sum, term) in self.sums.iter_mut().zip(&self.terms[shift..]) {
                *sum += *term;
            }
        }
    }
}
