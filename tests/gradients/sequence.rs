//! The loss of the whole sat-seq2seq network: differences, algorithms, numbers of threads. It is small,
//! so that no rectifier is within a step of its kink.

use crate::differences::{numbers, quotient, relative_distance};
use candle_core::{DType, Tensor};
use xrun::terms::Convolution;
use xrun::worker::input::Batch;
use xrun::worker::layer::Tape;
use xrun::worker::model::{Model, SatSeq2seq, Sizes};

fn network(dtype: DType) -> SatSeq2seq {
    let sizes = Sizes {
        channels: vec![2, 3],
        image: 8,
        predicted_frames: 3,
    };
    SatSeq2seq::new(sizes, 5, dtype).unwrap()
}

fn batch(dtype: DType) -> Batch {
    let pixels = |seed, frames| {
        let frames = numbers(seed, (3, 8, 8, frames));
        frames.to_dtype(dtype).unwrap()
    };
    Batch {
        examples: 3,
        inputs: pixels(1, 4),
        targets: pixels(2, 3),
        label_sum: 0,
    }
}

fn gradients(model: &SatSeq2seq, dtype: DType) -> Vec<Tensor> {
    let mut tape = Tape::default();
    model.loss(&mut tape, &batch(dtype)).unwrap();
    tape.backward().unwrap();
    let parameters = model.parameters().iter();
    parameters
        .map(|(_, variable)| tape.gradient(variable).unwrap().clone())
        .collect()
}

#[test]
fn gradients_follow_differences_of_the_loss() {
    let model = network(DType::F64);
    let batch = batch(DType::F64);
    let mut loss = || Ok(model.loss(&mut Tape::default(), &batch)?.unwrap());
    let gradients = gradients(&model, DType::F64);
    for ((name, variable), gradient) in model.parameters().iter().zip(gradients) {
        let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let largest = gradient.iter().fold(0f64, |most, g| most.max(g.abs()));
        assert!(largest > 0.0, "{name} has no gradient");
        let steepest = gradient.iter().position(|g| g.abs() == largest).unwrap();
        for index in [0, gradient.len() / 3, gradient.len() / 2, steepest] {
            let error = (quotient(&mut loss, variable, index) - gradient[index]).abs() / largest;
            assert!(
                error < 1e-6,
                "{name}, number {index}: relative error {error}"
            );
        }
    }
}

#[test]
fn f32_and_every_algorithm_give_the_gradients_of_f64() {
    let expected = gradients(&network(DType::F64).by(Convolution::Im2col), DType::F64);
    for way in [
        Convolution::Im2col,
        Convolution::Direct,
        Convolution::Winograd,
    ] {
        let model = network(DType::F32).by(way);
        let found = gradients(&model, DType::F32);
        for ((name, _), (a, b)) in model.parameters().iter().zip(found.iter().zip(&expected)) {
            let distance = relative_distance(a, b);
            assert!(distance < 1e-4, "{way}, {name}: {distance:e}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing_but_rounding() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| gradients(&network(DType::F64), DType::F64))
    };
    let one = run(1);
    for threads in [2, 3, 7] {
        for (a, b) in run(threads).iter().zip(&one) {
            assert!(relative_distance(a, b) < 1e-12, "{threads} threads");
        }
    }
}
