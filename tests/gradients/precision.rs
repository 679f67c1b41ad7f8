//! The f32 instance of each layer, at the sizes of the cifar10 network, against the f64 one.

use crate::differences::{differentiate, numbers, relative_distance, variable};
use candle_core::{DType, Tensor, Var};
use xrun::terms::Convolution;
use xrun::worker::layer::{Activation, Conv, Dense, Layer, Lrn, MaxPool, Tape};

/// A layer made of variables.
type Make = dyn Fn(&[Var]) -> Box<dyn Layer>;

/// The result of a layer for the first of `values`, and all gradients, in the type of `values`.
fn all_of(make: &Make, values: &[Tensor]) -> Vec<Tensor> {
    let variables: Vec<Var> = values.iter().map(variable).collect();
    let (y, tape) = differentiate(&variables[0], &*make(&variables));
    let gradients = variables.iter().map(|v| tape.gradient(v).unwrap().clone());
    [y].into_iter().chain(gradients).collect()
}

/// The largest relative distance between f32 and f64, for arguments that are exact in both.
fn worst_distance(make: &Make, values: Vec<Tensor>) -> f64 {
    let to = |tensors: &[Tensor], dtype| -> Vec<Tensor> {
        tensors.iter().map(|t| t.to_dtype(dtype).unwrap()).collect()
    };
    let single = to(&values, DType::F32);
    let double = to(&single, DType::F64);
    let pairs = all_of(make, &single).into_iter().zip(all_of(make, &double));
    pairs
        .map(|(a, b)| relative_distance(&a, &b))
        .fold(0.0, f64::max)
}

#[test]
fn convolutions() {
    let ways = [
        (Convolution::Im2col, 2e-6),
        (Convolution::Direct, 2e-6),
        (Convolution::Winograd, 1.2e-5),
    ];
    let sizes = [(24, 3), (12, 64), (13, 17)];
    let cases = ways
        .into_iter()
        .flat_map(|way| sizes.map(|size| (way, size)));
    for ((way, bound), (side, channels)) in cases {
        let values = vec![
            numbers(1, (5, side, side, channels)),
            numbers(2, (5, 5, channels, 64)),
            numbers(3, 64),
        ];
        // Without a rectifier, of which rounding may turn some that are nearly zero.
        let layer = move |v: &[Var]| -> Box<dyn Layer> {
            let conv = Conv::new(v[1].clone(), v[2].clone(), 2, Activation::Identity);
            Box::new(conv.by(way))
        };
        let distance = worst_distance(&layer, values);
        assert!(distance < bound, "{way}, {channels} channels: {distance}");
    }
}

#[test]
fn dense_layers() {
    let values = vec![
        numbers(1, (128, 2304)),
        numbers(2, (2304, 384)),
        numbers(3, 384),
    ];
    let layer = |v: &[Var]| -> Box<dyn Layer> {
        Box::new(Dense::new(v[1].clone(), v[2].clone(), Activation::Identity))
    };
    let distance = worst_distance(&layer, values);
    assert!(distance < 2e-6, "{distance}");
}

#[test]
fn response_normalisation() {
    let lrn = Lrn {
        radius: 4,
        bias: 1.0,
        alpha: 0.001 / 9.0,
    };
    let values = (numbers(1, (2, 12, 12, 64)) * 30.0).unwrap();
    let distance = worst_distance(&move |_| Box::new(lrn), vec![values]);
    assert!(distance < 1e-6, "{distance}");
}

#[test]
fn pooling_is_exact() {
    // Numbers that are exact in f32: both types see the same order.
    let result_only = |dtype| {
        let x = numbers(1, (3, 24, 24, 64)).to_dtype(DType::F32).unwrap();
        let x = variable(&x.to_dtype(dtype).unwrap());
        let mut tape = Tape::default();
        let y = MaxPool.forward(&mut tape, &x).unwrap();
        tape.backward().unwrap();
        [y, tape.gradient(&x).unwrap().clone()]
    };
    for (a, b) in result_only(DType::F32).iter().zip(&result_only(DType::F64)) {
        assert_eq!(relative_distance(a, b), 0.0);
    }
}
