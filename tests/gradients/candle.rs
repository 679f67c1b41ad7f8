//! Layers and losses against candle's own operations and its differentiation, which share no code
//! with them.

use crate::differences::{differentiate, numbers, relative_distance, variable};
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::loss::{cross_entropy, mse};
use xrun::worker::layer::loss::{CrossEntropy, SquaredError};
use xrun::worker::layer::{Activation, Conv, Dense, Layer, Tape};

const BOUND: f64 = 1e-12;

/// Holds the result of `layer` for `x` and its gradients by `variables` against those of `candle`.
fn compare(x: &Var, layer: &dyn Layer, candle: &dyn Fn() -> Result<Tensor>, variables: &[&Var]) {
    let (y, tape) = differentiate(x, layer);
    let expected = candle().unwrap();
    assert!(relative_distance(&y, &expected) < BOUND);
    let weights = numbers(99, y.shape());
    let loss = (expected * weights).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    for variable in [x].iter().chain(variables) {
        let (ours, theirs) = (tape.gradient(variable), gradients.get(variable));
        assert!(relative_distance(ours.unwrap(), theirs.unwrap()) < BOUND);
    }
}

#[test]
fn convolutions() {
    for (kernel, padding) in [(5, 2), (3, 1), (4, 0), (3, 2)] {
        let x = variable(&numbers(1, (3, 9, 8, 4)));
        let w = variable(&numbers(2, (kernel, kernel, 4, 6)));
        let b = variable(&numbers(3, 6));
        let conv = Conv::new(w.clone(), b.clone(), padding, Activation::Relu);
        let candle = || {
            let images = x.permute((0, 3, 1, 2))?.contiguous()?;
            let weights = w.permute((3, 2, 0, 1))?.contiguous()?;
            let y = images.conv2d(&weights, padding, 1, 1, 1)?;
            y.permute((0, 2, 3, 1))?.broadcast_add(&b)?.relu()
        };
        compare(&x, &conv, &candle, &[&w, &b]);
    }
}

#[test]
fn dense_layers() {
    let x = variable(&numbers(1, (5, 12)));
    let (w, b) = (variable(&numbers(2, (12, 7))), variable(&numbers(3, 7)));
    let dense = Dense::new(w.clone(), b.clone(), Activation::Relu);
    let candle = || x.matmul(&w)?.broadcast_add(&b)?.relu();
    compare(&x, &dense, &candle, &[&w, &b]);
}

#[test]
fn losses() {
    let x = variable(&(numbers(1, (6, 10)) * 5.0).unwrap());
    let labels = Tensor::new(&[3u32, 0, 9, 9, 4, 1], &Device::Cpu).unwrap();
    let expected = || cross_entropy(&x, &labels);
    compare(&x, &CrossEntropy(&labels), &expected, &[]);
    let targets = numbers(2, (6, 10));
    let expected = || mse(&x, &targets);
    compare(&x, &SquaredError(&targets), &expected, &[]);
    let mut tape = Tape::default();
    let loss = CrossEntropy(&labels).forward(&mut tape, &x).unwrap();
    assert_eq!(loss.dims(), [0usize; 0]);
}
