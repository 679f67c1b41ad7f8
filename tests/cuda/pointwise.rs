//! Functions of single numbers and pairs, and channels and pixels that go elsewhere.

use crate::beside::{assert_same, numbers};
use candle_core::Tensor;
use xrun::worker::layer::{Layer, Upsample, channels, pointwise};

fn pair(shape: (usize, usize)) -> [Tensor; 2] {
    [numbers(1, shape), numbers(2, shape)].map(|numbers| (numbers * 4.0).unwrap())
}

#[test]
fn functions_of_numbers_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    for shape in [(1, 1), (3, 100), (5, 333)] {
        let args = pair(shape);
        let one = &args[..1];
        assert_same(&gpu, one, &|tape, args| pointwise::sigmoid(tape, &args[0]));
        assert_same(&gpu, one, &|tape, args| pointwise::tanh(tape, &args[0]));
        assert_same(&gpu, &args, &|tape, args| {
            pointwise::sum(tape, &args[0], &args[1])
        });
        assert_same(&gpu, &args, &|tape, args| {
            pointwise::product(tape, &args[0], &args[1])
        });
    }
}

#[test]
fn gradients_of_several_uses_add_up_and_constants_have_none() {
    let Some(gpu) = crate::gpu() else { return };
    assert_same(&gpu, &pair((4, 75)), &|tape, args| {
        let (a, b) = (&args[0], &args[1]);
        let one = tape.constant(1.0, a)?;
        let gate = pointwise::sigmoid(tape, a)?;
        let more = pointwise::sum(tape, &one, &gate)?;
        let scaled = pointwise::product(tape, &more, b)?;
        let bent = pointwise::tanh(tape, &scaled)?;
        let kept = pointwise::product(tape, &bent, &one)?;
        let both = pointwise::sum(tape, &kept, a)?;
        pointwise::product(tape, &both, &gate)
    });
}

#[test]
fn channels_go_where_they_do_on_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    for (channels, selected) in [(1, 0..1), (5, 0..2), (5, 3..5), (16, 4..8)] {
        let x = numbers(1, (2, 3, 7, channels));
        assert_same(&gpu, &[x], &|tape, args| {
            channels::select(tape, &args[0], selected.clone())
        });
    }
    for (of_a, of_b) in [(1, 1), (3, 5), (16, 1)] {
        let args = [numbers(1, (3, 5, 5, of_a)), numbers(2, (3, 5, 5, of_b))];
        assert_same(&gpu, &args, &|tape, args| {
            channels::concatenate(tape, &args[0], &args[1])
        });
    }
}

#[test]
fn doubled_images_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    for shape in [(1, 1, 1, 1), (2, 3, 5, 4), (3, 8, 8, 16)] {
        let x = numbers(1, shape);
        assert_same(&gpu, &[x], &|tape, args| Upsample.forward(tape, &args[0]));
    }
}
