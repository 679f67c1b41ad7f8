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
//! use candle_core::{DType, Device, Tensor, Var};
//! use xrun::worker::layer::{Activation, Conv, Layer, Tape};
//!
//! # fn main() -> candle_core::Result<()> {
//! let cpu = &Device::Cpu;
//! let weights = Var::ones((5, 5, 3, 8), DType::F32, cpu)?;
//! let biases = Var::zeros(8, DType::F32, cpu)?;
//! let conv = Conv::new(weights.clone(), biases, 2, Activation::Relu);
//! let mut tape = Tape::default();
//! let y = conv.forward(&mut tape, &Tensor::ones((2, 24, 24, 3), DType::F32, cpu)?)?;
//! assert_eq!(y.dims(), [2, 24, 24, 8]);
//! tape.backward()?;
//! assert_eq!(tape.gradient(&weights).unwrap().dims(), [5, 5, 3, 8]);
//! # Ok(())
//! # }
//! ```
//!
//! With [`Conv::pooled`] the result is `max_pool(y)`, and `y` is never written: maximum, bias and
//! rectifier commute, so the activation follows the maximum. Normalisation is fused in the same way,
//! before or after the maxima.
//!
//! Each thread takes a part of the batch, a few images at a time, so that what is computed of them
//! stays in its cache. The gradient of the input is a convolution too: of the output's gradient with
//! the flipped and transposed filters.

mod algorithm;
mod choice;
mod direct;
mod geometry;
mod im2col;
mod on_gpu;
mod pass;
mod winograd;

use super::Activation;
use super::Layer;
use super::lrn::Lrn;
use super::max_pool::windows::Windows;
use super::operation::{self, Function, View};
use super::partition::{add, examples_per_thread};
use super::scalar::Scalar;
use super::simd::Level;
use super::tape::Tape;
use crate::terms;
use crate::worker::gpu::{self, Gpu};
use candle_core::{Result, Shape, Tensor, Var};
use pass::{Backward, Behind, Forward, Pass, Prepared, blocks, blocks_mut};
use rayon::prelude::*;

pub use algorithm::Algorithm;
pub use choice::{algorithm, resolve};
pub use geometry::Geometry;

/// One convolution layer.
#[derive(Clone, Debug)]
pub struct Conv {
    weights: Var,
    biases: Var,
    padding: usize,
    activation: Activation,
    behind: Behind,
    algorithm: terms::Convolution,
}

impl Conv {
    /// `weights` `(k, k, channels, filters)`, `biases` `(filters,)`, `padding` below `k`.
    pub fn new(weights: Var, biases: Var, padding: usize, activation: Activation) -> Self {
        Self {
            weights,
            biases,
            padding,
            activation,
            behind: Behind::Nothing,
            algorithm: terms::Convolution::Auto,
        }
    }

    /// The same layer with [`MaxPool`](super::MaxPool) behind it, as one operation.
    pub fn pooled(self) -> Self {
        let behind = Behind::Maxima;
        Self { behind, ..self }
    }

    /// The same layer with [`MaxPool`](super::MaxPool) and `lrn` behind it, as one operation.
    pub fn pooled_and_normalised(self, lrn: Lrn) -> Self {
        let behind = Behind::NormalisedMaxima(lrn);
        Self { behind, ..self }
    }

    /// The same layer with `lrn` and [`MaxPool`](super::MaxPool) behind it, as one operation.
    pub fn normalised_and_pooled(self, lrn: Lrn) -> Self {
        let behind = Behind::MaximaOfNormalised(lrn);
        Self { behind, ..self }
    }

    /// The same layer with another function behind it.
    pub fn activated_by(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// The same layer, computed in another way.
    pub fn by(self, algorithm: terms::Convolution) -> Self {
        Self { algorithm, ..self }
    }

    /// The algorithm that computes it for images of this size, where its weights are: never `auto`.
    pub fn algorithm(&self, [height, width]: [usize; 2]) -> Result<terms::Convolution> {
        if self.weights.device().is_cuda() {
            return choice::resolve_on_gpu(self.algorithm);
        }
        choice::check_on_cpu(self.algorithm)?;
        let (kernel, _, channels, filters) = self.weights.dims4()?;
        let geometry = Geometry {
            height,
            width,
            channels,
            kernel,
            padding: self.padding,
        };
        Ok(choice::resolve(self.algorithm, geometry, filters))
    }
}

impl Layer for Conv {
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        if tape.gpu().is_none() {
            choice::check_on_cpu(self.algorithm)?;
        }
        let function = Convolution {
            padding: self.padding,
            activation: self.activation,
            behind: self.behind,
            algorithm: self.algorithm,
        };
        tape.apply(function, [x, &self.weights, &self.biases])
    }
}

struct Convolution {
    padding: usize,
    activation: Activation,
    behind: Behind,
    algorithm: terms::Convolution,
}

/// Memory of one call.
#[derive(Default)]
pub struct Room<T> {
    /// Where in its window each maximum was found; empty without pooling.
    places: Vec<u8>,
    /// What is normalised; empty if nothing is.
    kept: Vec<T>,
    /// Weights as the algorithm takes them, on the way forward and on the way back.
    forward: Vec<T>,
    back: Vec<T>,
    flipped: Vec<T>,
    threads: Vec<pass::Room<T>>,
}

impl Function<3> for Convolution {
    const NAME: &'static str = "convolution";
    type Room<T: Scalar> = Room<T>;
    type GpuRoom<T: Scalar> = on_gpu::GpuRoom<T>;

    fn result(&self, args: [&[usize]; 3]) -> Result<Shape> {
        let batch = self.check(args)?;
        let pass = self.pass(args);
        let [height, width] = pass.result_size();
        Ok((batch, height, width, pass.filters).into())
    }

    fn forward<T: Scalar>(&self, [x, w, b]: [View<T>; 3], out: &mut [T], room: &mut Room<T>) {
        let pass = self.pass([x.dims, w.dims, b.dims]);
        let algorithm = self.algorithm(pass.geometry, pass.filters);
        algorithm.prepare(w.data, &mut room.forward);
        let filters = Prepared {
            algorithm: &*algorithm,
            weights: &room.forward,
        };
        let part = examples_per_thread(x.dims[0]);
        room.places.resize(x.dims[0] * pass.places(), 0);
        room.kept.resize(x.dims[0] * pass.kept(), T::zero());
        let mut places = blocks_mut(&mut room.places, part * pass.places());
        let mut kept = blocks_mut(&mut room.kept, part * pass.kept());
        let shares: Vec<_> = (x.data.chunks(part * pass.geometry.image()))
            .zip(out.chunks_mut(part * pass.result()))
            .map(|(x, y)| Forward {
                x,
                y,
                places: places.next().unwrap_or_default(),
                kept: kept.next().unwrap_or_default(),
            })
            .collect();
        room.threads.resize_with(shares.len(), Default::default);
        (shares.into_par_iter().zip(&mut room.threads))
            .for_each(|(share, room)| pass.forward(share, filters, b.data, room));
    }

    fn backward<T: Scalar>(
        &self,
        call: operation::Backward<T, 3>,
        [dx, dw, db]: [Option<&mut [T]>; 3],
        room: &mut Room<T>,
    ) {
        let [x, w, b] = call.args;
        let pass = self.pass([x.dims, w.dims, b.dims]);
        let forward = self.algorithm(pass.geometry, pass.filters);
        let transposed = pass.geometry.transposed(pass.filters);
        let algorithm_back = self.algorithm(transposed, pass.geometry.channels);
        let back = dx.is_some().then(|| {
            pass.flip(w.data, &mut room.flipped);
            algorithm_back.prepare(&room.flipped, &mut room.back);
            Prepared {
                algorithm: &*algorithm_back,
                weights: &room.back[..],
            }
        });
        let part = examples_per_thread(x.dims[0]);
        let [image, result] = [pass.geometry.image(), pass.result()].map(|size| part * size);
        let mut dx = dx.unwrap_or_default().chunks_mut(image);
        let mut places = blocks(&room.places, part * pass.places());
        let mut kept = blocks(&room.kept, part * pass.kept());
        let results = (call.result.data.chunks(result)).zip(call.gradient.data.chunks(result));
        let shares: Vec<_> = (x.data.chunks(image).zip(results))
            .map(|(x, (y, dy))| Backward {
                x,
                y,
                dy,
                places: places.next().unwrap_or_default(),
                kept: kept.next().unwrap_or_default(),
                dx: dx.next().unwrap_or_default(),
            })
            .collect();
        let threads = &mut room.threads[..];
        (shares.into_par_iter().zip(&mut *threads))
            .for_each(|(share, room)| pass.backward(share, &*forward, back, room));
        add_up(threads);
        if let Some(dw) = dw {
            forward.weight_gradient(&threads[0].sums, dw);
        }
        if let Some(db) = db {
            db.copy_from_slice(&threads[0].biases);
        }
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        args: [gpu::View<T>; 3],
        out: gpu::Span<T>,
        room: &mut on_gpu::GpuRoom<T>,
    ) -> Result<()> {
        let call = self.call_on_gpu(gpu, args.map(|arg| arg.dims));
        call.forward(args.map(|arg| arg.data), out, room)
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 3>,
        gradients: [Option<gpu::Span<T>>; 3],
        room: &mut on_gpu::GpuRoom<T>,
    ) -> Result<()> {
        let known = self.call_on_gpu(gpu, call.args.map(|arg| arg.dims));
        known.backward(call, gradients, room)
    }

    fn places<T: Scalar>(room: &Room<T>) -> Option<&[u8]> {
        (!room.places.is_empty()).then_some(&room.places)
    }
}

/// Adds the sums of all threads, in order, to those of the first.
fn add_up<T: Scalar>(threads: &mut [pass::Room<T>]) {
    const CHUNK: usize = 1 << 14;
    let Some((first, others)) = threads.split_first_mut() else {
        return;
    };
    for other in others {
        (first.sums.par_chunks_mut(CHUNK))
            .zip(other.sums.par_chunks(CHUNK))
            .for_each(|(sum, part)| add(sum, part));
        add(&mut first.biases, &other.biases);
    }
}

impl Convolution {
    fn algorithm<T: Scalar>(&self, geometry: Geometry, filters: usize) -> Box<dyn Algorithm<T>> {
        choice::algorithm(self.algorithm, geometry, filters)
    }

    /// What a GPU computes for shapes that were checked.
    fn call_on_gpu<'a>(&self, gpu: &'a Gpu, dims: [&[usize]; 3]) -> on_gpu::Call<'a> {
        on_gpu::Call {
            gpu,
            pass: self.pass(dims),
            batch: dims[0][0],
            algorithm: self.algorithm,
        }
    }

    /// The number of images, if the shapes fit.
    fn check(&self, [x, w, b]: [&[usize]; 3]) -> Result<usize> {
        let (&[batch, _, _, channels], &[kernel, kernel_width, inputs, filters], &[biases]) =
            (x, w, b)
        else {
            candle_core::bail!(
                "images {x:?}, weights {w:?}, biases {b:?}: not 4, 4 and 1 dimensions"
            );
        };
        if kernel != kernel_width || channels != inputs || biases != filters {
            candle_core::bail!("images {x:?}, weights {w:?} and biases {b:?} do not fit");
        }
        if batch == 0 {
            candle_core::bail!("a batch without images has no gradients");
        }
        let geometry = self.geometry(x, w);
        if !geometry.is_valid() {
            candle_core::bail!("no convolution has the sizes {geometry:?}");
        }
        Ok(batch)
    }

    fn geometry(&self, x: &[usize], w: &[usize]) -> Geometry {
        Geometry {
            height: x[1],
            width: x[2],
            channels: x[3],
            kernel: w[0],
            padding: self.padding,
        }
    }

    /// What both directions do with shapes that were checked.
    fn pass(&self, [x, w, _]: [&[usize]; 3]) -> Pass {
        let geometry = self.geometry(x, w);
        let filters = w[3];
        let windows = Windows {
            height: geometry.out_height(),
            width: geometry.out_width(),
            channels: filters,
        };
        Pass {
            geometry,
            filters,
            activation: self.activation,
            level: Level::best(),
            behind: self.behind,
            windows,
        }
    }
}
