//! Each layer of random shape in f64 against differences. Cases are the same in every run, since a
//! rectifier within a step of its kink would be no error of the gradient.

use crate::differences::{differentiate, numbers, relative_distance, variable, worst_error};
use candle_core::{Device, Tensor};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use xrun::worker::layer::loss::{CrossEntropy, SquaredError};
use xrun::worker::layer::{Activation, Conv, Dense, Layer, Lrn, MaxPool, Tape};

const BOUND: f64 = 1e-7;

/// Runs `error_of` on some values of `strategy` and holds each error against the bound.
fn check<S: Strategy>(strategy: S, error_of: impl Fn(S::Value) -> f64) {
    let config = Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&strategy, |case| {
        let error = error_of(case);
        prop_assert!(error < BOUND, "relative error {error}");
        Ok(())
    });
    if let Err(TestError::Fail(reason, case)) = outcome {
        panic!("{reason} with {case:?}");
    }
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Identity), Just(Activation::Relu)]
}

#[test]
fn convolution() {
    let sizes = (1..4usize, 4..8usize, 4..8usize, 1..4usize, 1..4usize);
    let kernel = (1..5usize).prop_flat_map(|k| (Just(k), 0..k));
    check(
        (sizes, kernel, activation(), 0..4usize),
        |((batch, height, width, channels, filters), (k, padding), activation, behind)| {
            let x = variable(&numbers(1, (batch, height, width, channels)));
            let w = variable(&numbers(2, (k, k, channels, filters)));
            let b = variable(&numbers(3, filters));
            let conv = Conv::new(w.clone(), b.clone(), padding, activation);
            let (conv, _) = fused(conv, behind);
            worst_error(&x, &conv, &[&w, &b])
        },
    );
}

/// A convolution with layers behind it, as one operation, and these layers.
fn fused(conv: Conv, behind: usize) -> (Conv, Vec<Box<dyn Layer>>) {
    let lrn = Lrn {
        radius: 2,
        bias: 1.5,
        alpha: 0.7,
    };
    match behind {
        0 => (conv, vec![]),
        1 => (conv.pooled(), vec![Box::new(MaxPool)]),
        2 => {
            let behind: Vec<Box<dyn Layer>> = vec![Box::new(MaxPool), Box::new(lrn)];
            (conv.pooled_and_normalised(lrn), behind)
        }
        _ => {
            let behind: Vec<Box<dyn Layer>> = vec![Box::new(lrn), Box::new(MaxPool)];
            (conv.normalised_and_pooled(lrn), behind)
        }
    }
}

#[test]
fn a_convolution_with_layers_behind_it_is_one_after_the_other() {
    let x = numbers(1, (3, 9, 10, 2));
    let (w, b) = (
        variable(&numbers(2, (3, 3, 2, 20))),
        variable(&numbers(3, 20)),
    );
    let conv = Conv::new(w.clone(), b.clone(), 1, Activation::Relu);
    for behind in 1..4 {
        let (fused, layers) = fused(conv.clone(), behind);
        let (mut apart, mut together) = (Tape::default(), Tape::default());
        let mut y = conv.forward(&mut apart, &x).unwrap();
        for layer in layers {
            y = layer.forward(&mut apart, &y).unwrap();
        }
        let z = fused.forward(&mut together, &x).unwrap();
        assert!(relative_distance(&z, &y) < 1e-14);
        apart.backward().unwrap();
        together.backward().unwrap();
        for variable in [&w, &b] {
            let [apart, together] =
                [&apart, &together].map(|tape| tape.gradient(variable).unwrap());
            assert!(relative_distance(together, apart) < 1e-13);
        }
    }
}

#[test]
fn dense() {
    let sizes = (1..5usize, 1..8usize, 1..8usize);
    check(
        (sizes, activation()),
        |((batch, inputs, outputs), activation)| {
            let x = variable(&numbers(1, (batch, inputs)));
            let w = variable(&numbers(2, (inputs, outputs)));
            // Some number passes every rectifier: no gradient is zero.
            let b = variable(&(numbers(3, outputs).abs().unwrap() + 0.5).unwrap());
            let dense = Dense::new(w.clone(), b.clone(), activation);
            worst_error(&x, &dense, &[&w, &b])
        },
    );
}

#[test]
fn pooling() {
    let sizes = (1..3usize, 1..8usize, 1..8usize, 1..20usize);
    check(sizes, |(batch, height, width, channels)| {
        // A permutation: no two numbers of a window are nearer than a hundred steps.
        let count = batch * height * width * channels;
        let order = numbers(1, count).arg_sort_last_dim(true).unwrap();
        let order = order.to_vec1::<u32>().unwrap();
        let apart: Vec<f64> = order.iter().map(|place| f64::from(*place) * 1e-2).collect();
        let shape = (batch, height, width, channels);
        let x = variable(&Tensor::from_vec(apart, shape, &Device::Cpu).unwrap());
        worst_error(&x, &MaxPool, &[])
    });
}

#[test]
fn response_normalisation() {
    check(
        (1..6usize, 1..12usize, 0..5usize),
        |(pixels, channels, radius)| {
            let lrn = Lrn {
                radius,
                bias: 1.5,
                alpha: 0.7,
            };
            let x = variable(&(numbers(1, (pixels, channels)) * 2.0).unwrap());
            worst_error(&x, &lrn, &[])
        },
    );
}

#[test]
fn weight_decay_is_a_part_of_the_gradient() {
    let (x, w, b) = (
        numbers(1, (3, 4)),
        variable(&numbers(2, (4, 5))),
        variable(&numbers(3, 5)),
    );
    let dense = Dense::new(w.clone(), b, Activation::Identity);
    let gradient = |dense: &Dense| {
        let (_, tape) = differentiate(&x, dense);
        tape.gradient(&w).unwrap().clone()
    };
    let penalty = |dense: &Dense| {
        let penalty = dense.penalty(&mut Tape::default()).unwrap();
        penalty.value().unwrap()
    };
    let without = gradient(&dense);
    assert_eq!(penalty(&dense), 0.0);
    let decayed = dense.decayed(0.25);
    let expected = (without + (w.as_tensor() * 0.25).unwrap()).unwrap();
    assert!(relative_distance(&gradient(&decayed), &expected) < 1e-14);
    let squares = w
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap()
        .to_scalar::<f64>()
        .unwrap();
    assert!((penalty(&decayed) / (0.125 * squares) - 1.0).abs() < 1e-14);
}

#[test]
fn losses() {
    let logits = variable(&(numbers(1, (5, 7)) * 3.0).unwrap());
    let labels = Tensor::new(&[0u32, 6, 3, 3, 1], &Device::Cpu).unwrap();
    assert!(worst_error(&logits, &CrossEntropy(&labels), &[]) < BOUND);
    let targets = numbers(2, (5, 7));
    assert!(worst_error(&logits, &SquaredError(&targets), &[]) < BOUND);
    let wrong = Tensor::new(&[0u32, 6, 3, 7, 1], &Device::Cpu).unwrap();
    let mut tape = Tape::default();
    assert!(
        CrossEntropy(&wrong).forward(&mut tape, &logits).is_err(),
        "no such class"
    );
    assert!(
        SquaredError(&numbers(2, (7, 5)))
            .forward(&mut tape, &logits)
            .is_err()
    );
}

#[test]
fn the_gradient_of_an_equal_window_goes_to_its_first_number() {
    let x = variable(&Tensor::ones((1, 4, 4, 1), candle_core::DType::F64, &Device::Cpu).unwrap());
    let mut tape = Tape::default();
    MaxPool.forward(&mut tape, &x).unwrap();
    tape.backward().unwrap();
    let dx = tape.gradient(&x).unwrap().flatten_all().unwrap();
    let mut expected = [0.0; 16];
    for first in [0, 2, 8, 10] {
        expected[first] = 1.0;
    }
    assert_eq!(dx.to_vec1::<f64>().unwrap(), expected);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let x = numbers(1, (1, 4, 4, 3));
    let biases = variable(&numbers(3, 2));
    let conv = |shape: (usize, usize, usize, usize), padding| {
        let weights = variable(&numbers(2, shape));
        let conv = Conv::new(weights, biases.clone(), padding, Activation::Identity);
        conv.forward(&mut Tape::default(), &x)
            .map(|y| y.dims().to_vec())
    };
    assert_eq!(conv((3, 3, 3, 2), 1).unwrap(), [1, 4, 4, 2]);
    assert!(conv((3, 3, 4, 2), 1).is_err(), "other channels");
    assert!(conv((3, 2, 3, 2), 1).is_err(), "no square kernel");
    assert!(conv((3, 3, 3, 1), 1).is_err(), "other biases");
    assert!(conv((7, 7, 3, 2), 1).is_err(), "kernel larger than image");
    let no_images = MaxPool.forward(&mut Tape::default(), &numbers(1, (4, 4)));
    assert!(no_images.is_err());
}
