//! Seeded numbers, and the comparison of a gradient with differences of the function.

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use xrun::worker::layer::{Layer, Tape};

/// Half the distance between the points of a central difference.
pub const STEP: f64 = 1e-6;

/// Numbers between -1 and 1 that depend on `seed` alone.
pub fn numbers(seed: u64, shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let draw = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 * 2f64.powi(-52) - 1.0
    };
    let numbers: Vec<f64> = (0..shape.elem_count()).map(draw).collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

/// A function of one tensor as a layer.
pub struct Of<F>(pub F);

impl<F: Fn(&mut Tape, &Tensor) -> Result<Tensor>> Layer for Of<F> {
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
        self.0(tape, x)
    }
}

pub fn variable(values: &Tensor) -> Var {
    Var::from_tensor(values).unwrap()
}

/// What a layer made of some variables, and the gradients of a scalar that depends on every number of
/// it, each with another weight.
pub fn differentiate(x: &Tensor, layer: &dyn Layer) -> (Tensor, Tape) {
    let mut tape = Tape::default();
    let y = layer.forward(&mut tape, x).unwrap();
    tape.backward_from(&weights_of(&y)).unwrap();
    (y, tape)
}

/// That scalar.
pub fn weighed(x: &Tensor, layer: &dyn Layer) -> Result<Tensor> {
    let y = layer.forward(&mut Tape::default(), x)?;
    (&y * weights_of(&y))?.sum_all()
}

fn weights_of(y: &Tensor) -> Tensor {
    numbers(99, y.shape()).to_dtype(y.dtype()).unwrap()
}

/// `‖a − b‖ / ‖b‖`.
pub fn relative_distance(a: &Tensor, b: &Tensor) -> f64 {
    let a = a.to_dtype(DType::F64).unwrap();
    let b = b.to_dtype(DType::F64).unwrap();
    let length = |t: Tensor| {
        t.sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f64>()
            .unwrap()
    };
    (length((a - &b).unwrap()) / length(b)).sqrt()
}

/// The difference quotient of `loss` by number `index` of `variable`.
pub fn quotient(loss: &mut dyn FnMut() -> Result<f64>, variable: &Var, index: usize) -> f64 {
    let old = variable.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let mut at = |offset: f64| {
        let mut moved = old.clone();
        moved[index] += offset;
        let moved = Tensor::from_vec(moved, variable.shape(), &Device::Cpu).unwrap();
        variable.set(&moved).unwrap();
        loss().unwrap()
    };
    let quotient = (at(STEP) - at(-STEP)) / (2.0 * STEP);
    at(0.0);
    quotient
}

/// The largest relative distance between a gradient of `layer` by `x` and `variables` and its
/// difference quotients.
pub fn worst_error(x: &Var, layer: &dyn Layer, variables: &[&Var]) -> f64 {
    let loss = || weighed(x, layer)?.to_scalar::<f64>();
    let (_, tape) = differentiate(x, layer);
    let errors = [x]
        .into_iter()
        .chain(variables.iter().copied())
        .map(|variable| {
            let quotients: Vec<f64> = (0..variable.elem_count())
                .map(|i| quotient(&mut || loss(), variable, i))
                .collect();
            let quotients = Tensor::from_vec(quotients, variable.shape(), &Device::Cpu).unwrap();
            relative_distance(tape.gradient(variable).unwrap(), &quotients)
        });
    errors.fold(0.0, f64::max)
}
