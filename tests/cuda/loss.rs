//! Losses, and what weight decay adds to them.

use crate::beside::{assert_same, like, numbers};
use candle_core::{DType, Tensor};
use xrun::worker::layer::loss::{CrossEntropy, SquaredError, number};
use xrun::worker::layer::{Layer, Tape, l2};

fn labels(examples: usize, classes: usize) -> Vec<u32> {
    let label = |example: usize| (example * 7 + 3) % classes;
    (0..examples).map(|example| label(example) as u32).collect()
}

#[test]
fn cross_entropy_is_that_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    for (examples, classes) in [(1, 1), (1, 10), (5, 7), (64, 10), (300, 10)] {
        let logits = (numbers(1, (examples, classes)) * 5.0).unwrap();
        assert_same(&gpu, &[logits], &|tape, args| {
            let labels = Tensor::new(labels(examples, classes), args[0].device())?;
            CrossEntropy(&labels).forward(tape, &args[0])
        });
    }
}

#[test]
fn large_logits_do_not_overflow_and_small_losses_are_not_lost() {
    let Some(gpu) = crate::gpu() else { return };
    let logits = Tensor::new(&[[1000f32, -1000.0], [20.0, 0.0]], gpu.device()).unwrap();
    let labels = Tensor::new(&[0u32, 0], gpu.device()).unwrap();
    let mut tape = Tape::on(gpu.clone());
    let loss = CrossEntropy(&labels).forward(&mut tape, &logits).unwrap();
    let expected = (-20f64).exp().ln_1p() / 2.0;
    let loss = number(&loss).unwrap();
    assert!(
        (loss / expected - 1.0).abs() < 1e-6,
        "{loss}, not {expected}"
    );
}

#[test]
fn a_label_that_is_no_class_makes_the_loss_no_number() {
    let Some(gpu) = crate::gpu() else { return };
    let logits = numbers(1, (3, 4)).to_device(gpu.device()).unwrap();
    for (wrong, is_class) in [(3, true), (4, false), (u32::MAX, false)] {
        let labels = Tensor::new(&[0, wrong, 1], gpu.device()).unwrap();
        let mut tape = Tape::on(gpu.clone());
        let loss = CrossEntropy(&labels).forward(&mut tape, &logits).unwrap();
        assert_eq!(number(&loss).unwrap().is_finite(), is_class, "{wrong}");
    }
    let mut tape = Tape::on(gpu.clone());
    let two = Tensor::new(&[0u32, 1], gpu.device()).unwrap();
    assert!(CrossEntropy(&two).forward(&mut tape, &logits).is_err());
    let floats = Tensor::new(&[0f32, 1.0, 2.0], gpu.device()).unwrap();
    let refused = CrossEntropy(&floats).forward(&mut tape, &logits);
    assert!(refused.unwrap_err().to_string().contains("labels are u32"));
}

#[test]
fn squared_errors_of_any_number_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    // The last has more numbers than its grid has threads.
    for size in [(1, 1), (5, 7), (4, 256), (41, 25), (900, 700)] {
        let x = numbers(1, size);
        assert_same(&gpu, &[x], &|tape, args| {
            let targets = like(&args[0], &numbers(2, size))?;
            SquaredError(&targets).forward(tape, &args[0])
        });
    }
}

#[test]
fn penalties_are_those_of_the_cpu_in_every_pass() {
    let Some(gpu) = crate::gpu() else { return };
    for (dtype, bound) in [(DType::F64, 1e-14), (DType::F32, 1e-6)] {
        for length in [1, 1025, 600_000] {
            let w = numbers(3, length).to_dtype(dtype).unwrap();
            let host = l2::penalty(&mut Tape::default(), 0.004, &w).unwrap();
            let host = host.value().unwrap();
            let w = w.to_device(gpu.device()).unwrap();
            let mut tape = Tape::on(gpu.clone());
            let mut values = Vec::new();
            for _ in 0..3 {
                tape.rewind();
                let penalty = l2::penalty(&mut tape, 0.004, &w).unwrap();
                values.push(penalty.value().unwrap());
            }
            assert!(
                (values[0] / host - 1.0).abs() < bound,
                "{values:?} for {host}"
            );
            assert_eq!(values, [values[0]; 3]);
        }
    }
}
