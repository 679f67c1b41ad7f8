//! The loss of the whole cifar10 network: differences on some coordinates, and numbers of threads.

use crate::differences::{numbers, quotient, relative_distance};
use candle_core::{DType, Device, Tensor, Var};
use xrun::terms::Convolution;
use xrun::worker::input::Batch;
use xrun::worker::layer::Tape;
use xrun::worker::model::{Cifar10, Model};

fn batch(examples: usize, dtype: DType) -> Batch {
    batch_of(5, examples, dtype)
}

fn batch_of(seed: u64, examples: usize, dtype: DType) -> Batch {
    let labels: Vec<u32> = (0..examples as u32).map(|i| (i * 7 + 3) % 10).collect();
    Batch {
        examples,
        inputs: numbers(seed, (examples, 24, 24, 3))
            .to_dtype(dtype)
            .unwrap(),
        label_sum: labels.iter().map(|label| u64::from(*label)).sum(),
        targets: Tensor::new(labels, &Device::Cpu).unwrap(),
    }
}

#[test]
fn gradients_follow_differences_of_the_loss() {
    let model = Cifar10::new(3, DType::F64).unwrap();
    let batch = batch(2, DType::F64);
    let mut tape = Tape::default();
    model.loss(&mut tape, &batch).unwrap();
    tape.backward().unwrap();
    let mut loss = || {
        let mut tape = Tape::default();
        Ok(model.loss(&mut tape, &batch)?.unwrap())
    };
    for (name, variable) in model.parameters() {
        let gradient = tape.gradient(variable).unwrap().flatten_all().unwrap();
        let gradient = gradient.to_vec1::<f64>().unwrap();
        let largest = gradient.iter().fold(0f64, |most, g| most.max(g.abs()));
        let steepest = gradient.iter().position(|g| g.abs() == largest).unwrap();
        for index in [0, gradient.len() / 2, steepest] {
            let error = (quotient(&mut loss, variable, index) - gradient[index]).abs() / largest;
            assert!(
                error < 1e-6,
                "{name}, number {index}: relative error {error}"
            );
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing_but_rounding() {
    let run = |threads: usize, dtype| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let model = Cifar10::new(3, dtype).unwrap();
            let mut tape = Tape::default();
            model.loss(&mut tape, &batch(7, dtype)).unwrap();
            tape.backward().unwrap();
            let parameters = model.parameters().iter();
            parameters
                .map(|(_, v)| tape.gradient(v).unwrap().clone())
                .collect::<Vec<_>>()
        })
    };
    let one = run(1, DType::F64);
    for threads in [2, 3, 9] {
        for (a, b) in run(threads, DType::F64).iter().zip(&one) {
            assert!(relative_distance(a, b) < 1e-12, "{threads} threads");
        }
    }
    for (a, b) in run(2, DType::F32).iter().zip(run(2, DType::F32)) {
        let [a, b] = [a, &b].map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        assert_eq!(a, b, "two runs with as many threads differ");
    }
}

/// Gradients in name order, and where the pooling layers found their maxima.
type Pass = (Vec<Tensor>, Vec<Vec<u8>>);

fn pass(model: &Cifar10, batch: &Batch) -> Pass {
    let mut tape = Tape::default();
    model.loss(&mut tape, batch).unwrap();
    tape.backward().unwrap();
    let gradient = |(_, v): &(String, Var)| tape.gradient(v).unwrap().clone();
    let gradients = model.parameters().iter().map(gradient).collect();
    (gradients, tape.places().map(<[u8]>::to_vec).collect())
}

#[test]
fn gradients_in_f32_are_those_in_f64_by_every_algorithm() {
    let mut compared = [0; 3];
    for seed in 1..=4 {
        let double = Cifar10::new(seed, DType::F64).unwrap();
        let double = double.by(Convolution::Im2col);
        let (expected, places) = pass(&double, &batch_of(seed, 8, DType::F64));
        let ways = [
            Convolution::Im2col,
            Convolution::Direct,
            Convolution::Winograd,
        ];
        for (way, compared) in ways.into_iter().zip(&mut compared) {
            let single = Cifar10::new(seed, DType::F32).unwrap().by(way);
            let (gradients, places_here) = pass(&single, &batch_of(seed, 8, DType::F32));
            if places_here != places {
                continue; // rounding resolved a tie in another way: a gradient went elsewhere
            }
            *compared += 1;
            for ((name, _), (a, b)) in
                (single.parameters().iter()).zip(gradients.iter().zip(&expected))
            {
                let distance = relative_distance(a, b);
                assert!(distance < 2e-5, "{way}, {name}: {distance:e}");
            }
        }
    }
    assert!(
        compared.iter().all(|count| *count >= 2),
        "{compared:?} of 4 were compared"
    );
}
