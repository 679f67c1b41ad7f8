//! Fully connected layer: `y = f(x · w + b)`, `f` the activation.
//!
//! | | shape |
//! |---|---|
//! | x | `(batch, …)`, of which each example has `inputs` numbers |
//! | w | `(inputs, outputs)` |
//! | b | `(outputs,)` |
//! | y | `(batch, outputs)` |
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use xrun::worker::layer::{Activation, Dense, Layer, Tape};
//!
//! # fn main() -> candle_core::Result<()> {
//! let weights = Var::new(&[[1f32, -1.0], [2.0, -2.0]], &Device::Cpu)?;
//! let biases = Var::new(&[0.5f32, 0.5], &Device::Cpu)?;
//! let dense = Dense::new(weights, biases, Activation::Relu);
//! let y = dense.forward(&mut Tape::default(), &Tensor::new(&[[3f32, 1.0]], &Device::Cpu)?)?;
//! assert_eq!(y.to_vec2::<f32>()?, [[5.5, 0.0]]);
//! # Ok(())
//! # }
//! ```

mod on_gpu;
pub mod product;

use super::Activation;
use super::Layer;
use super::activation::rows;
use super::l2::{self, Penalty};
use super::operation::{Backward, Function, View};
use super::partition::{add, examples_per_thread};
use super::scalar::Scalar;
use super::simd::Level;
use super::tape::Tape;
use crate::worker::gpu::{self, Gpu};
use candle_core::{Result, Shape, Tensor, Var};
use product::{Correlation, Product, Sizes};
use rayon::prelude::*;

/// One fully connected layer.
#[derive(Clone, Debug)]
pub struct Dense {
    weights: Var,
    biases: Var,
    activation: Activation,
    decay: f64,
}

impl Dense {
    /// `weights` `(inputs, outputs)`, `biases` `(outputs,)`.
    pub fn new(weights: Var, biases: Var, activation: Activation) -> Self {
        Self {
            weights,
            biases,
            activation,
            decay: 0.0,
        }
    }

    /// The same layer, whose [`penalty`](Self::penalty) is a part of the loss: the gradient of the
    /// weights has `decay · w` in it.
    pub fn decayed(self, decay: f64) -> Self {
        Self { decay, ..self }
    }

    /// `decay · ½ Σ w²`, in a pass that `tape` records.
    pub fn penalty(&self, tape: &mut Tape) -> Result<Penalty> {
        l2::penalty(tape, self.decay, &self.weights)
    }
}

impl Layer for Dense {
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        let function = Affine {
            activation: self.activation,
            decay: self.decay,
        };
        tape.apply(function, [x, &self.weights, &self.biases])
    }
}

struct Affine {
    activation: Activation,
    decay: f64,
}

impl Function<3> for Affine {
    const NAME: &'static str = "dense";

    /// Only the way through the activation is gone twice.
    const CHEAP_PARTS: bool = true;

    type Room<T: Scalar> = Room<T>;
    type GpuRoom<T: Scalar> = on_gpu::GpuRoom<T>;

    fn result(&self, [x, w, b]: [&[usize]; 3]) -> Result<Shape> {
        match (x, w, b) {
            (&[batch, ref rest @ ..], &[inputs, outputs], &[biases])
                if rest.iter().product::<usize>() == inputs && outputs == biases =>
            {
                Ok((batch, outputs).into())
            }
            _ => candle_core::bail!("inputs {x:?}, weights {w:?} and biases {b:?} do not fit"),
        }
    }

    fn forward<T: Scalar>(&self, [x, w, b]: [View<T>; 3], y: &mut [T], room: &mut Room<T>) {
        let layer = product::Affine {
            x: x.data,
            weights: w.data,
            biases: b.data,
            activation: self.activation,
        };
        product(&x, &w).forward(layer, y, &mut room.scratch);
    }

    fn backward<T: Scalar>(
        &self,
        call: Backward<T, 3>,
        [dx, dw, db]: [Option<&mut [T]>; 3],
        room: &mut Room<T>,
    ) {
        let [x, w, _] = call.args;
        let product = product(&x, &w);
        let Room { dy, sums, scratch } = room;
        let dy = self.through_activation(&call, dy, sums);
        if let Some(db) = db {
            db.copy_from_slice(&sums[..db.len()]);
        }
        if let Some(dw) = dw {
            let of = Correlation {
                x: x.data,
                dy,
                weights: w.data,
                decay: T::from_f64(self.decay),
            };
            product.weight_gradient(of, dw, scratch);
        }
        if let Some(dx) = dx {
            product.input_gradient(dy, w.data, dx, scratch);
        }
    }

    fn forward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        args: [gpu::View<T>; 3],
        y: gpu::Span<T>,
        _: &mut on_gpu::GpuRoom<T>,
    ) -> Result<()> {
        self.forward_there(gpu, args, y)
    }

    fn backward_on_gpu<T: Scalar>(
        &self,
        gpu: &Gpu,
        call: gpu::Backward<T, 3>,
        gradients: [Option<gpu::Span<T>>; 3],
        room: &mut on_gpu::GpuRoom<T>,
    ) -> Result<()> {
        self.backward_there(gpu, call, gradients, room)
    }
}

impl Affine {
    /// The gradient by what the activation takes; puts the sums of its columns first in `sums`.
    fn through_activation<'a, T: Scalar>(
        &self,
        call: &Backward<'a, T, 3>,
        room: &'a mut Vec<T>,
        sums: &mut Vec<T>,
    ) -> &'a [T] {
        let (y, dy) = (call.result.data, call.gradient.data);
        let (level, outputs) = (Level::best(), call.result.dims[1]);
        let part = outputs * examples_per_thread(call.result.dims[0]);
        sums.clear();
        sums.resize(dy.len().div_ceil(part) * outputs, T::zero());
        let sums_of_parts = sums.par_chunks_mut(outputs);
        let before: &[T] = match self.activation {
            Activation::Identity => {
                (dy.par_chunks(part).zip(sums_of_parts))
                    .for_each(|(dy, sums)| rows::add_rows(level, dy, sums));
                dy
            }
            Activation::Relu => {
                room.resize(dy.len(), T::zero());
                (y.par_chunks(part).zip(dy.par_chunks(part)))
                    .zip(room.par_chunks_mut(part).zip(sums_of_parts))
                    .for_each(|((y, dy), (out, sums))| {
                        rows::rectify_gradient(level, y, dy, out, sums);
                    });
                room
            }
        };
        let (first, others) = sums.split_at_mut(outputs);
        others.chunks(outputs).for_each(|sums| add(first, sums));
        before
    }
}

/// Memory of one call.
#[derive(Default)]
pub struct Room<T> {
    /// The gradient by what the activation takes, and the sums of its columns.
    dy: Vec<T>,
    sums: Vec<T>,
    scratch: Vec<T>,
}

fn product<T>(x: &View<T>, w: &View<T>) -> Product {
    Product::new(Sizes {
        batch: x.dims[0],
        inputs: w.dims[0],
        outputs: w.dims[1],
    })
}
