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

use super::Activation;
use super::Layer;
use super::matrix::{Destination, Matrix, Threads, multiply};
use super::operation::{Backward, Function, View};
use super::scalar::Scalar;
use super::tape::Tape;
use candle_core::{Result, Shape, Tensor, Var};

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

    /// `decay · ½ Σ w²`.
    pub fn penalty(&self) -> Result<f64> {
        Ok(self.decay * super::l2::half_square(&self.weights)?)
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

    /// The gradient by what the activation takes.
    type Room<T: Scalar> = Vec<T>;

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

    fn forward<T: Scalar>(&self, [x, w, b]: [View<T>; 3], y: &mut [T], _: &mut Vec<T>) {
        let x = Matrix::rows_of(w.dims[0], x.data);
        let w = Matrix::rows_of(w.dims[1], w.data);
        multiply(x, w, y, Destination::Overwrite, Threads::Pool);
        self.activation.finish(y, b.data);
    }

    fn backward<T: Scalar>(
        &self,
        call: Backward<T, 3>,
        [dx, dw, db]: [Option<&mut [T]>; 3],
        room: &mut Vec<T>,
    ) {
        let [x, w, b] = call.args;
        let (inputs, outputs) = (w.dims[0], w.dims[1]);
        room.resize(call.result.data.len(), T::zero());
        let mut sums = vec![T::zero(); b.data.len()];
        self.activation
            .backward(call.result.data, call.gradient.data, room, &mut sums);
        let dy = Matrix::rows_of(outputs, room);
        if let Some(db) = db {
            db.copy_from_slice(&sums);
        }
        if let Some(dw) = dw {
            let decay = T::from_f64(self.decay);
            dw.iter_mut()
                .zip(w.data)
                .for_each(|(dw, w)| *dw = decay * *w);
            let x = Matrix::rows_of(inputs, x.data).t();
            multiply(x, dy, dw, Destination::Add, Threads::Pool);
        }
        if let Some(dx) = dx {
            let w = Matrix::rows_of(outputs, w.data).t();
            multiply(dy, w, dx, Destination::Overwrite, Threads::Pool);
        }
    }
}
