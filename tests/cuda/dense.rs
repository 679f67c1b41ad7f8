//! Fully connected layers.

use crate::beside::{assert_same, numbers};
use xrun::worker::layer::{Activation, Dense, Layer};

#[test]
fn dense_layers_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    let sizes = [(1, 1, 1), (3, 5, 7), (2, 40, 33), (65, 17, 32), (5, 8, 100)];
    for (batch, inputs, outputs) in sizes {
        for (activation, decay) in [(Activation::Relu, 0.25), (Activation::Identity, 0.0)] {
            let args = [
                numbers(1, (batch, inputs)),
                numbers(2, (inputs, outputs)),
                numbers(3, outputs),
            ];
            assert_same(&gpu, &args, &|tape, args| {
                let [x, w, b] = [&args[0], &args[1], &args[2]];
                let dense = Dense::new(w.clone(), b.clone(), activation).decayed(decay);
                dense.forward(tape, x)
            });
        }
    }
}

#[test]
fn examples_of_any_shape_are_rows() {
    let Some(gpu) = crate::gpu() else { return };
    let args = [
        numbers(4, (3, 2, 2, 4)),
        numbers(5, (16, 12)),
        numbers(6, 12),
    ];
    assert_same(&gpu, &args, &|tape, args| {
        let [x, w, b] = [&args[0], &args[1], &args[2]];
        Dense::new(w.clone(), b.clone(), Activation::Relu).forward(tape, x)
    });
}
