//! Convolution of stride 1 with bias and activation.
//!
//! `y[n, i, j, o] = f(b[o] + Σ x[n, i + u − p, j + v − p, c] · w[u, v, c, o])` over `u, v, c`, where
//! pixels outside of the image are zero, `p` is the padding and `f` the activation. TensorFlow calls
//! `p = (k − 1) / 2` SAME for an odd kernel size `k`.
//!
//! | | shape |
//! |---|---|
//! | x | `(batch, height, width, channels)` |
//! | w | `(k, k, channels, filters)` |
//! | b | `(filters,)` |
//! | y | `(batch, height + 2p + 1 − k, width + 2p + 1 − k, filters)` |
//!
//! ```
//! use candle_core::{DType, Device, Module, Tensor, Var};
//! use xrun::worker::layer::{Activation, Conv};
//!
//! # fn main() -> candle_core::Result<()> {
//! let cpu = &Device::Cpu;
//! let weights = Var::ones((5, 5, 3, 8), DType::F32, cpu)?;
//! let biases = Var::zeros(8, DType::F32, cpu)?;
//! let conv = Conv::new(weights.clone(), biases, 2, Activation::Relu);
//! let y = conv.forward(&Tensor::ones((2, 24, 24, 3), DType::F32, cpu)?)?;
//! assert_eq!(y.dims(), [2, 24, 24, 8]);
//! let gradients = y.sum_all()?.backward()?;
//! assert_eq!(gradients.get(&weights).unwrap().dims(), [5, 5, 3, 8]);
//! # Ok(())
//! # }
//! ```
//!
//! Each thread takes a part of the batch and multiplies the patches of a few images at a time by
//! the weights, so that patches stay in the cache (Chellapilla, Puri, Simard 2006). The gradient of
//! the input is a convolution too: of the output's gradient with the flipped and transposed filters.

mod im2col;

use super::Activation;
use super::operation::{Backward, Function, View, apply3};
use super::partition::{add_rows, examples_per_thread, sum_of};
use super::scalar::Scalar;
use candle_core::{Module, Result, Shape, Tensor, Var};
use im2col::{Geometry, Patches};
use rayon::prelude::*;

/// One convolution layer.
#[derive(Clone, Debug)]
pub struct Conv {
    weights: Var,
    biases: Var,
    padding: usize,
    activation: Activation,
}

impl Conv {
    /// `weights` `(k, k, channels, filters)`, `biases` `(filters,)`, `padding` below `k`.
    pub fn new(weights: Var, biases: Var, padding: usize, activation: Activation) -> Self {
        Self {
            weights,
            biases,
            padding,
            activation,
        }
    }
}

impl Module for Conv {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let function = Convolution {
            padding: self.padding,
            activation: self.activation,
        };
        apply3(function, [x, &self.weights, &self.biases])
    }
}

struct Convolution {
    padding: usize,
    activation: Activation,
}

impl Function<3> for Convolution {
    const NAME: &'static str = "convolution";

    fn forward<T: Scalar>(&self, [x, w, b]: [View<T>; 3]) -> Result<(Vec<T>, Shape)> {
        let (geometry, batch) = self.geometry(&x, &w, &b)?;
        let filters = b.data.len();
        let mut y = vec![T::zero(); batch * geometry.pixels() * filters];
        correlate(geometry, x.data, w.data, &mut y, |block| {
            self.activation.finish(block, b.data);
        });
        let (height, width) = (geometry.out_height(), geometry.out_width());
        Ok((y, (batch, height, width, filters).into()))
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 3>) -> Result<[Option<Vec<T>>; 3]> {
        let [x, w, b] = call.args;
        let (geometry, batch) = self.geometry(&x, &w, &b)?;
        let filters = b.data.len();
        let mut dx = vec![T::zero(); if call.wanted[0] { x.data.len() } else { 0 }];
        let pass = BackwardPass {
            geometry,
            filters,
            activation: self.activation,
            flipped: call.wanted[0].then(|| flip(geometry.kernel, filters, w.data)),
        };
        let part = examples_per_thread(batch);
        let (image, result) = (part * geometry.image(), part * geometry.pixels() * filters);
        let mut dx_parts = dx.chunks_mut(image);
        let shares: Vec<_> = x
            .data
            .chunks(image)
            .zip(call.result.data.chunks(result))
            .zip(call.gradient.data.chunks(result))
            .map(|((x, y), dy)| Share {
                x,
                y,
                dy,
                dx: dx_parts.next(),
            })
            .collect();
        let sums: Vec<_> = shares
            .into_par_iter()
            .map(|share| pass.run(share))
            .collect();
        let (dw, db) = sums.into_iter().unzip();
        Ok([
            call.wanted[0].then_some(dx),
            Some(sum_of(dw)),
            Some(sum_of(db)),
        ])
    }
}

impl Convolution {
    /// The sizes, checked, and the number of images.
    fn geometry<T>(&self, x: &View<T>, w: &View<T>, b: &View<T>) -> Result<(Geometry, usize)> {
        let (&[batch, height, width, channels], &[kernel, kernel_width, inputs, filters]) =
            (x.dims, w.dims)
        else {
            candle_core::bail!(
                "a convolution of {:?} by {:?}, not 4 by 4 dimensions",
                x.dims,
                w.dims
            );
        };
        if kernel != kernel_width || channels != inputs || b.dims != [filters] {
            let (x, w, b) = (x.dims, w.dims, b.dims);
            candle_core::bail!("images {x:?}, weights {w:?} and biases {b:?} do not fit");
        }
        let geometry = Geometry {
            height,
            width,
            channels,
            kernel,
            padding: self.padding,
        };
        Ok((geometry.check()?, batch))
    }
}

/// Puts into `out` the convolution of `images` with `weights`, without bias, and lets `finish`
/// complete each block of it while it is in the cache.
fn correlate<T: Scalar>(
    geometry: Geometry,
    images: &[T],
    weights: &[T],
    out: &mut [T],
    finish: impl Fn(&mut [T]) + Sync,
) {
    let result = geometry.pixels() * weights.len() / geometry.patch();
    let part = examples_per_thread(out.len() / result);
    let parts = images.par_chunks(part * geometry.image());
    parts
        .zip(out.par_chunks_mut(part * result))
        .for_each(|(images, out)| {
            let mut patches = Patches::new(geometry);
            let blocks = images.chunks(geometry.block() * geometry.image());
            for (images, out) in blocks.zip(out.chunks_mut(geometry.block() * result)) {
                patches.times(images, weights, out);
                finish(out);
            }
        });
}

/// The part of a batch that one thread takes.
struct Share<'a, T> {
    x: &'a [T],
    y: &'a [T],
    dy: &'a [T],
    /// None where the gradient of the input is not wanted.
    dx: Option<&'a mut [T]>,
}

/// What all threads share.
struct BackwardPass<T> {
    geometry: Geometry,
    filters: usize,
    activation: Activation,
    /// The filters that give the gradient of the input, where it is wanted.
    flipped: Option<Vec<T>>,
}

impl<T: Scalar> BackwardPass<T> {
    /// Writes the gradient of the input; returns those of weights and biases.
    fn run(&self, share: Share<T>) -> (Vec<T>, Vec<T>) {
        let geometry = self.geometry;
        let mut dw = vec![T::zero(); geometry.patch() * self.filters];
        let mut db = vec![T::zero(); self.filters];
        let (image, result) = (
            geometry.block() * geometry.image(),
            geometry.block() * geometry.pixels() * self.filters,
        );
        let mut patches = Patches::new(geometry);
        let mut patches_of_dy = Patches::new(geometry.transposed(self.filters));
        let mut dx_blocks = share.dx.map(|dx| dx.chunks_mut(image));
        let blocks = share.y.chunks(result).zip(share.dy.chunks(result));
        for (x, (y, dy)) in share.x.chunks(image).zip(blocks) {
            let dy = self.activation.backward(y, dy);
            add_rows(&mut db, &dy);
            patches.add_transposed_times(x, &dy, &mut dw);
            let dx = dx_blocks.as_mut().and_then(Iterator::next);
            if let (Some(dx), Some(flipped)) = (dx, &self.flipped) {
                patches_of_dy.times(&dy, flipped, dx);
            }
        }
        (dw, db)
    }
}

/// Filters `[u][v][c][o]` as `[k − 1 − u][k − 1 − v][o][c]`.
fn flip<T: Scalar>(kernel: usize, filters: usize, weights: &[T]) -> Vec<T> {
    let taps = weights.chunks(weights.len() / (kernel * kernel));
    let mut flipped = Vec::with_capacity(weights.len());
    for tap in taps.rev() {
        for o in 0..filters {
            flipped.extend(tap[o..].iter().step_by(filters));
        }
    }
    flipped
}
