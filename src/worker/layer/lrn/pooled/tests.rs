//! Every level against the two layers one after the other.

use super::*;

#[test]
fn the_fused_layers_are_the_two_to_the_last_bit() {
    let windows = Windows {
        height: 7,
        width: 6,
        channels: 19,
    };
    let lrn = Lrn {
        radius: 4,
        bias: 1.0,
        alpha: 0.2,
    };
    let (fused, pixels) = (PooledLrn { lrn, windows }, Pixels { lrn, channels: 19 });
    let count = 3 * windows.image();
    let results = 3 * windows.result();
    let wave =
        |count, step: f32| -> Vec<f32> { (0..count).map(|i| (i as f32 * step).sin()).collect() };
    let (x, dy) = (wave(count, 1.3), wave(results, 0.7));
    for level in Level::available() {
        let (mut between, mut y, mut places) =
            (vec![9.0; count], vec![9.0; results], vec![9; results]);
        pixels.normalise(level, &x, &mut between);
        windows.pool(level, &between, &mut y, &mut places);
        let (mut fused_y, mut fused_places) = (vec![9.0; results], vec![9; results]);
        fused.forward(level, &x, &mut fused_y, &mut fused_places);
        assert_eq!((&fused_y, &fused_places), (&y, &places), "{level:?}");

        let (mut dx, mut fused_dx) = (vec![9.0; count], vec![8.0; count]);
        windows.spread(level, &dy, &places, &mut between);
        pixels.gradient(level, &x, &between, &mut dx);
        fused.backward(level, &x, (&dy, &places), &mut fused_dx);
        assert_eq!(fused_dx, dx, "{level:?}");
    }
}
