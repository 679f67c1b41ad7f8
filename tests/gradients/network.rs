//! The loss of the whole cifar10 network: differences on some coordinates, and numbers of threads.

use crate::differences::{numbers, quotient, relative_distance};
use candle_core::{DType, Device, Tensor};
use xrun::worker::input::Batch;
use xrun::worker::layer::Tape;
use xrun::worker::model::{Cifar10, Model};

fn batch(examples: usize, dtype: DType) -> Batch {
    let labels: Vec<u32> = (0..examples as u32).map(|i| (i * 7 + 3) % 10).collect();
    Batch {
        examples,
        inputs: numbers(5, (examples, 24, 24, 3)).to_dtype(dtype).unwrap(),
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
