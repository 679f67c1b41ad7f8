//! Each layer of random shape in f64 against differences. Cases are the same in every run, since a
//! rectifier within a step of its kink would be no error of the gradient.

use crate::differences::{numbers, relative_distance, variable, worst_error};
use candle_core::{Device, Module, Tensor};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use xrun::worker::layer::l2::half_square;
use xrun::worker::layer::{Activation, Conv, Dense, Lrn, max_pool};

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
        (sizes, kernel, activation(), any::<bool>()),
        |((batch, height, width, channels, filters), (k, padding), activation, pooled)| {
            let x = variable(&numbers(1, (batch, height, width, channels)));
            let w = variable(&numbers(2, (k, k, channels, filters)));
            let b = variable(&numbers(3, filters));
            let conv = Conv::new(w.clone(), b.clone(), padding, activation);
            let conv = if pooled { conv.pooled() } else { conv };
            worst_error(&|| conv.forward(&x), &[&x, &w, &b])
        },
    );
}

#[test]
fn a_pooled_convolution_is_a_convolution_and_a_pooling() {
    let x = numbers(1, (3, 9, 10, 2));
    let (w, b) = (
        variable(&numbers(2, (3, 3, 2, 20))),
        variable(&numbers(3, 20)),
    );
    let conv = Conv::new(w, b, 1, Activation::Relu);
    let apart = max_pool(&conv.forward(&x).unwrap()).unwrap();
    let fused = conv.pooled().forward(&x).unwrap();
    assert!(relative_distance(&fused, &apart) < 1e-14);
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
            worst_error(&|| dense.forward(&x), &[&x, &w, &b])
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
        worst_error(&|| max_pool(&x), &[&x])
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
            worst_error(&|| lrn.forward(&x), &[&x])
        },
    );
}

#[test]
fn weight_decay() {
    check(1..40usize, |length| {
        let w = variable(&numbers(1, length));
        worst_error(&|| half_square(&w), &[&w])
    });
}

#[test]
fn the_gradient_of_an_equal_window_goes_to_its_first_number() {
    let x = variable(&Tensor::ones((1, 4, 4, 1), candle_core::DType::F64, &Device::Cpu).unwrap());
    let gradients = max_pool(&x).unwrap().sum_all().unwrap().backward().unwrap();
    let dx = gradients.get(&x).unwrap().flatten_all().unwrap();
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
        conv.forward(&x).map(|y| y.dims().to_vec())
    };
    assert_eq!(conv((3, 3, 3, 2), 1).unwrap(), [1, 4, 4, 2]);
    assert!(conv((3, 3, 4, 2), 1).is_err(), "other channels");
    assert!(conv((3, 2, 3, 2), 1).is_err(), "no square kernel");
    assert!(conv((3, 3, 3, 1), 1).is_err(), "other biases");
    assert!(conv((7, 7, 3, 2), 1).is_err(), "kernel larger than image");
    assert!(max_pool(&numbers(1, (4, 4))).is_err(), "no images");
}
