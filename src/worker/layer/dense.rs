//! Fully connected layer: `y = f(x · w + b)`, `f` the activation.
//!
//! | | shape |
//! |---|---|
//! | x | `(batch, inputs)` |
//! | w | `(inputs, outputs)` |
//! | b | `(outputs,)` |
//! | y | `(batch, outputs)` |
//!
//! ```
//! use candle_core::{DType, Device, Module, Tensor, Var};
//! use xrun::worker::layer::{Activation, Dense};
//!
//! # fn main() -> candle_core::Result<()> {
//! let weights = Var::new(&[[1f32, -1.0], [2.0, -2.0]], &Device::Cpu)?;
//! let biases = Var::new(&[0.5f32, 0.5], &Device::Cpu)?;
//! let dense = Dense::new(weights, biases, Activation::Relu);
//! let y = dense.forward(&Tensor::new(&[[3f32, 1.0]], &Device::Cpu)?)?;
//! assert_eq!(y.to_vec2::<f32>()?, [[5.5, 0.0]]);
//! # Ok(())
//! # }
//! ```

use super::Activation;
use super::matrix::{Destination, Matrix, Threads, multiply};
use super::operation::{Backward, Function, View, apply3};
use super::partition::add_rows;
use super::scalar::Scalar;
use candle_core::{Module, Result, Shape, Tensor, Var};

/// One fully connected layer.
#[derive(Clone, Debug)]
pub struct Dense {
    weights: Var,
    biases: Var,
    activation: Activation,
}

impl Dense {
    /// `weights` `(inputs, outputs)`, `biases` `(outputs,)`.
    pub fn new(weights: Var, biases: Var, activation: Activation) -> Self {
        Self {
            weights,
            biases,
            activation,
        }
    }
}

impl Module for Dense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let function = Affine(self.activation);
        apply3(function, [x, &self.weights, &self.biases])
    }
}

struct Affine(Activation);

impl Function<3> for Affine {
    const NAME: &'static str = "dense";

    fn forward<T: Scalar>(&self, [x, w, b]: [View<T>; 3]) -> Result<(Vec<T>, Shape)> {
        let [batch, inputs, outputs] = sizes(&x, &w, &b)?;
        let mut y = vec![T::zero(); batch * outputs];
        let x = Matrix::rows_of(inputs, x.data);
        let w = Matrix::rows_of(outputs, w.data);
        multiply(x, w, &mut y, Destination::Overwrite, Threads::Pool);
        self.0.finish(&mut y, b.data);
        Ok((y, (batch, outputs).into()))
    }

    fn backward<T: Scalar>(&self, call: Backward<T, 3>) -> Result<[Option<Vec<T>>; 3]> {
        let [x, w, b] = call.args;
        let [_, inputs, outputs] = sizes(&x, &w, &b)?;
        let dy = self.0.backward(call.result.data, call.gradient.data);
        let mut db = vec![T::zero(); outputs];
        add_rows(&mut db, &dy);
        let dy = Matrix::rows_of(outputs, &dy);
        let product = |a, b, length| {
            let mut out = vec![T::zero(); length];
            multiply(a, b, &mut out, Destination::Overwrite, Threads::Pool);
            out
        };
        let dw = product(Matrix::rows_of(inputs, x.data).t(), dy, w.data.len());
        let w = Matrix::rows_of(outputs, w.data);
        let dx = call.wanted[0].then(|| product(dy, w.t(), x.data.len()));
        Ok([dx, Some(dw), Some(db)])
    }
}

/// Batch, inputs and outputs, checked.
fn sizes<T>(x: &View<T>, w: &View<T>, b: &View<T>) -> Result<[usize; 3]> {
    match (x.dims, w.dims, b.dims) {
        (&[batch, inputs], &[rows, outputs], &[biases]) if inputs == rows && outputs == biases => {
            Ok([batch, inputs, outputs])
        }
        (x, w, b) => {
            candle_core::bail!("inputs {x:?}, weights {w:?} and biases {b:?} do not fit")
        }
    }
}
