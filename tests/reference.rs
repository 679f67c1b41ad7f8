//! Models and optimizers against numbers of another framework in float64, which
//! `tests/reference/reference.py` made.

use candle_core::{DType, Device, Shape, Tensor};
use serde::Deserialize;
use xrun::terms::OptimizerName;
use xrun::worker::input::Batch;
use xrun::worker::layer::Tape;
use xrun::worker::model::{Cifar10, Mlp, Model};
use xrun::worker::optimizer::{Config, Optimizer};

const STEPS: usize = 20;
const BATCH: usize = 64;

#[derive(Deserialize)]
struct Report {
    cifar10: Reference,
    mlp: Reference,
}

/// What one training left behind; lists go by step, or by variable in name order.
#[derive(Deserialize)]
struct Reference {
    losses: Vec<f64>,
    first_gradient_projections: Vec<f64>,
    /// How far the averages are from the initial values in the end, or the variables without any.
    moved_by: Vec<f64>,
}

fn report() -> Report {
    serde_json::from_str(include_str!("reference/reference.json")).unwrap()
}

/// Output of SplitMix64 for the state `stream · 2^32 + index`.
fn bits(stream: u64, index: u64) -> u64 {
    let z = (stream << 32)
        .wrapping_add(index)
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn uniform(stream: usize, shape: impl Into<Shape>, limit: f64) -> Tensor {
    let shape = shape.into();
    let number = |i| ((bits(stream as u64, i) >> 11) as f64 * 2f64.powi(-52) - 1.0) * limit;
    let numbers: Vec<f64> = (0..shape.elem_count() as u64).map(number).collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

/// Gives each variable the numbers of its place in name order.
fn fill(model: &dyn Model, limits: &[f64]) {
    assert_eq!(model.parameters().len(), limits.len());
    for (i, ((_, variable), limit)) in model.parameters().iter().zip(limits).enumerate() {
        let values = uniform(i, variable.shape(), *limit);
        variable
            .set(&values.to_dtype(variable.dtype()).unwrap())
            .unwrap();
    }
}

fn cifar10(dtype: DType) -> (Cifar10, Batch) {
    let model = Cifar10::new(0, dtype).unwrap();
    fill(
        &model,
        &[0.1, 0.1, 0.1, 0.05, 0.1, 0.04, 0.1, 0.08, 0.1, 0.01],
    );
    let labels: Vec<u32> = (0..BATCH as u64)
        .map(|i| (bits(51, i) % 10) as u32)
        .collect();
    let batch = Batch {
        examples: BATCH,
        inputs: uniform(50, (BATCH, 24, 24, 3), 1.7)
            .to_dtype(dtype)
            .unwrap(),
        targets: Tensor::new(labels, &Device::Cpu).unwrap(),
        label_sum: 0,
    };
    (model, batch)
}

fn mlp(dtype: DType) -> (Mlp, Batch) {
    let model = Mlp::new(&[8, 16, 12, 4], 0, dtype).unwrap();
    fill(&model, &[0.1, 0.5, 0.1, 0.5, 0.1, 0.5]);
    let batch = Batch {
        examples: BATCH,
        inputs: uniform(52, (BATCH, 8), 1.7).to_dtype(dtype).unwrap(),
        targets: uniform(53, (BATCH, 4), 1.7).to_dtype(dtype).unwrap(),
        label_sum: 0,
    };
    (model, batch)
}

fn assert_near(what: &str, ours: &[f64], reference: &[f64], bound: f64) {
    assert_eq!(ours.len(), reference.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(reference).enumerate() {
        let error = (a - b).abs() / b.abs();
        assert!(
            error < bound,
            "{what} {i}: {a}, not {b}: relative error {error:e}"
        );
    }
}

/// Loss and gradients of the first step, in f64.
fn check_first_step(model: &dyn Model, batch: &Batch, reference: &Reference) {
    let mut tape = Tape::default();
    let loss = model.loss(&mut tape, batch).unwrap().unwrap();
    assert_near("loss", &[loss], &reference.losses[..1], 1e-12);
    tape.backward().unwrap();
    let projection = |(i, (_, variable)): (usize, &(String, candle_core::Var))| -> f64 {
        let gradient = tape.gradient(variable).unwrap();
        let product = (gradient * uniform(100 + i, variable.shape(), 1.0)).unwrap();
        product.sum_all().unwrap().to_scalar().unwrap()
    };
    let projections: Vec<f64> = model
        .parameters()
        .iter()
        .enumerate()
        .map(projection)
        .collect();
    let expected = &reference.first_gradient_projections;
    assert_near("gradient", &projections, expected, 1e-9);
}

fn numbers_of(model: &dyn Model) -> Vec<Vec<f32>> {
    let numbers = |(_, v): &(String, candle_core::Var)| v.flatten_all()?.to_vec1();
    let all: candle_core::Result<_> = model.parameters().iter().map(numbers).collect();
    all.unwrap()
}

/// Losses of training in f32, and how far each average or variable has moved.
fn train(model: &dyn Model, batch: &Batch, config: Config) -> (Vec<f64>, Vec<f64>) {
    let start = numbers_of(model);
    let mut weights = start.clone();
    let parts: Vec<&[f32]> = start.iter().map(Vec::as_slice).collect();
    let mut optimizer = Optimizer::new(config, &parts);
    let mut losses = Vec::new();
    let mut tape = Tape::default();
    for _ in 0..STEPS {
        tape.rewind();
        losses.push(model.loss(&mut tape, batch).unwrap().unwrap());
        tape.backward().unwrap();
        let gradients: Vec<Vec<f32>> = (model.parameters().iter())
            .map(|(_, v)| {
                let gradient = tape.gradient(v).unwrap().flatten_all();
                gradient.unwrap().to_vec1().unwrap()
            })
            .collect();
        let pairs = weights.iter_mut().zip(&gradients);
        optimizer.step(pairs.map(|(w, g)| (&mut w[..], &g[..])).collect());
        for ((_, variable), weights) in model.parameters().iter().zip(&weights) {
            let weights = Tensor::from_slice(weights, variable.shape(), &Device::Cpu);
            variable.set(&weights.unwrap()).unwrap();
        }
    }
    let moved = optimizer.averages().zip(&weights).zip(&start);
    let moved = moved.map(|((average, weights), start)| {
        let end = if config.averages {
            average
        } else {
            weights.as_slice()
        };
        distance(end, start)
    });
    (losses, moved.collect())
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    a.iter().zip(b).map(square).sum::<f64>().sqrt()
}

#[test]
fn cifar10_starts_with_the_loss_and_gradients_of_the_reference() {
    let (model, batch) = cifar10(DType::F64);
    check_first_step(&model, &batch, &report().cifar10);
}

#[test]
fn cifar10_follows_the_reference_for_twenty_steps() {
    let (model, batch) = cifar10(DType::F32);
    let config = Config {
        rule: OptimizerName::Sgd,
        learning_rate: 0.02,
        decay: None,
        averages: true,
    };
    let (losses, moved) = train(&model, &batch, config);
    assert_near("loss of step", &losses, &report().cifar10.losses, 1e-4);
    assert_near("average", &moved, &report().cifar10.moved_by, 1e-3);
}

#[test]
fn mlp_starts_with_the_loss_and_gradients_of_the_reference() {
    let (model, batch) = mlp(DType::F64);
    check_first_step(&model, &batch, &report().mlp);
}

#[test]
fn mlp_with_adam_follows_the_reference_for_twenty_steps() {
    let (model, batch) = mlp(DType::F32);
    let config = Config {
        rule: OptimizerName::Adam,
        learning_rate: 0.01,
        decay: None,
        averages: false,
    };
    let (losses, moved) = train(&model, &batch, config);
    assert_near("loss of step", &losses, &report().mlp.losses, 1e-4);
    assert_near("variable", &moved, &report().mlp.moved_by, 1e-4);
}
