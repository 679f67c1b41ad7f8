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
//! With [`Conv::pooled`] the result is `max_pool(y)`, and `y` is never written: maximum, bias and
//! rectifier commute, so the activation follows the maximum.
//!
//! Each thread takes a part of the batch and multiplies the patches of a few images at a time by
//! the weights, so that patches stay in the cache (Chellapilla, Puri, Simard 2006). The gradient of
//! the input is a convolution too: of the output's gradient with the flipped and transposed filters.

#[allow(dead_code)]
mod algorithm;
mod geometry;
mod im2col;
mod pass;

use super::Activation;
use super::max_pool::Windows;
use super::operation::{Backward, Function, View, apply3};
use super::partition::{examples_per_thread, sum_of};
use super::scalar::Scalar;
use crate::terms;
use candle_core::{Module, Result, Shape, Tensor, Var};
use geometry::Geometry;
use pass::{BackwardShare, ForwardShare, Pass};
use rayon::prelude::*;
use std::sync::OnceLock;

/// One convolution layer.
#[derive(Clone, Debug)]
pub struct Conv {
    weights: Var,
    biases: Var,
    padding: usize,
    activation: Activation,
    pooled: bool,
}

impl Conv {
    /// How these layers compute: patches as rows of a matrix, then products of matrices.
    pub const ALGORITHM: terms::Convolution = terms::Convolution::Im2col;

    /// `weights` `(k, k, channels, filters)`, `biases` `(filters,)`, `padding` below `k`.
    pub fn new(weights: Var, biases: Var, padding: usize, activation: Activation) -> Self {
        Self {
            weights,
            biases,
            padding,
            activation,
            pooled: false,
        }
    }

    /// The same layer with [`max_pool`](super::max_pool()) behind it, as one operation.
    pub fn pooled(self) -> Self {
        Self {
            pooled: true,
            ..self
        }
    }
}

impl Module for Conv {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let function = Convolution {
            padding: self.padding,
            activation: self.activation,
            pooled: self.pooled,
            places: OnceLock::new(),
        };
        apply3(function, [x, &self.weights, &self.biases])
    }
}

struct Convolution {
    padding: usize,
    activation: Activation,
    pooled: bool,
    /// Where in its window each maximum was found; empty without pooling.
    places: OnceLock<Vec<u8>>,
}

impl Function<3> for Convolution {
    const NAME: &'static str = "convolution";

    fn forward<T: Scalar>(&self, [x, w, b]: [View<T>; 3]) -> Result<(Vec<T>, Shape)> {
        let (pass, batch) = self.pass(&x, &w, &b)?;
        let part = examples_per_thread(batch);
        let mut y = vec![T::zero(); batch * pass.result()];
        let mut places = vec![0; if self.pooled { y.len() } else { 0 }];
        let mut places_of_parts = places.chunks_mut(part * pass.result());
        let shares: Vec<_> = x
            .data
            .chunks(part * pass.geometry.image())
            .zip(y.chunks_mut(part * pass.result()))
            .map(|(x, y)| ForwardShare {
                x,
                y,
                places: places_of_parts.next().unwrap_or_default(),
            })
            .collect();
        shares
            .into_par_iter()
            .for_each(|share| pass.forward(share, w.data, b.data));
        self.places.get_or_init(|| places);
        let [height, width] = pass.result_size();
        Ok((y, (batch, height, width, pass.filters).into()))
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 3>) -> Result<[Option<Vec<T>>; 3]> {
        let [x, w, b] = call.args;
        let (pass, batch) = self.pass(&x, &w, &b)?;
        let places = self.places.get().expect("forward comes before backward");
        let part = examples_per_thread(batch);
        let [image, result] = [pass.geometry.image(), pass.result()].map(|size| part * size);
        let mut dx = vec![T::zero(); if call.wanted[0] { x.data.len() } else { 0 }];
        let (mut dx_of_parts, mut places_of_parts) = (dx.chunks_mut(image), places.chunks(result));
        let results = call.result.data.chunks(result);
        let shares: Vec<_> = x
            .data
            .chunks(image)
            .zip(results.zip(call.gradient.data.chunks(result)))
            .map(|(x, (y, dy))| BackwardShare {
                x,
                y,
                dy,
                places: places_of_parts.next().unwrap_or_default(),
                dx: dx_of_parts.next().unwrap_or_default(),
            })
            .collect();
        let flipped = if call.wanted[0] {
            pass.flip(w.data)
        } else {
            Vec::new()
        };
        let sums: Vec<_> = shares
            .into_par_iter()
            .map(|share| pass.backward(share, &flipped))
            .collect();
        let (dw, db) = sums.into_iter().unzip();
        let dx = call.wanted[0].then_some(dx);
        Ok([dx, Some(sum_of(dw)), Some(sum_of(db))])
    }
}

impl Convolution {
    /// What both directions do, with sizes checked, and the number of images.
    fn pass<T>(&self, x: &View<T>, w: &View<T>, b: &View<T>) -> Result<(Pass, usize)> {
        let (
            &[batch, height, width, channels],
            &[kernel, kernel_width, inputs, filters],
            &[biases],
        ) = (x.dims, w.dims, b.dims)
        else {
            let (x, w, b) = (x.dims, w.dims, b.dims);
            candle_core::bail!(
                "images {x:?}, weights {w:?}, biases {b:?}: not 4, 4 and 1 dimensions"
            );
        };
        if kernel != kernel_width || channels != inputs || biases != filters {
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
        if !geometry.is_valid() {
            candle_core::bail!("no convolution has the sizes {geometry:?}");
        }
        let pass = Pass {
            geometry,
            filters,
            activation: self.activation,
            windows: self.pooled.then(|| Windows {
                height: geometry.out_height(),
                width: geometry.out_width(),
                channels: filters,
            }),
        };
        Ok((pass, batch))
    }
}
