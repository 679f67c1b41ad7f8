//! Maxima of windows.

use crate::beside::{assert_same, numbers, pass};
use candle_core::{DType, Device, Tensor};
use xrun::worker::layer::{Layer, MaxPool, Tape};

#[test]
fn maxima_of_any_size_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    let sizes = [
        (1, 1, 1, 1),
        (2, 2, 2, 3),
        (1, 5, 4, 16),
        (3, 4, 7, 5),
        (2, 9, 9, 1),
        (1, 24, 24, 64),
    ];
    for size in sizes {
        let x = numbers(1, size);
        assert_same(&gpu, &[x], &|tape, args| MaxPool.forward(tape, &args[0]));
    }
}

#[test]
fn the_first_of_equal_numbers_gets_the_gradient() {
    let Some(gpu) = crate::gpu() else { return };
    let few = |i: u32| f64::from(i * i % 7 % 3) - 2.0;
    let x: Vec<f64> = (0..2 * 7 * 6 * 3).map(few).collect();
    let x = [Tensor::from_vec(x, (2, 7, 6, 3), &Device::Cpu).unwrap()];
    let passes = [
        (Tape::default(), &Device::Cpu),
        (Tape::on(gpu.clone()), gpu.device()),
    ];
    let [host, device] = passes.map(|(tape, place)| {
        let tensors = pass(tape, place, DType::F32, &x, &|tape, args| {
            MaxPool.forward(tape, &args[0])
        });
        let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        tensors.iter().map(numbers).collect::<Vec<_>>()
    });
    assert_eq!(host, device);
}
