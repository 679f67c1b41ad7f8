//! Local response normalisation.

use crate::beside::{assert_same, numbers};
use xrun::worker::layer::{Layer, Lrn};

#[test]
fn normalised_pixels_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    let sizes = [
        ((3, 1), 4),
        ((2, 5), 0),
        ((7, 5), 1),
        ((4, 6), 9),
        ((50, 64), 4),
    ];
    for (size, radius) in sizes {
        let lrn = Lrn {
            radius,
            bias: 1.5,
            alpha: 0.7,
        };
        let x = (numbers(1, size) * 3.0).unwrap();
        assert_same(&gpu, &[x], &|tape, args| lrn.forward(tape, &args[0]));
    }
}
