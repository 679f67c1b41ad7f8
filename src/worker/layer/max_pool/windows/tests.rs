//! Every level against the definition. Eighths are added without rounding, so results are equal.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Some images, and as many gradients as a result can have; many numbers are equal.
fn images() -> impl Strategy<Value = (Windows, Vec<f64>, Vec<f64>)> {
    let channels = prop_oneof![Just(1), Just(16), Just(17), 1..40usize];
    (1..3usize, 1..8usize, 1..8usize, channels).prop_flat_map(|(batch, height, width, channels)| {
        let windows = Windows {
            height,
            width,
            channels,
        };
        let eighths =
            |count| prop::collection::vec((-3..4).prop_map(|x| f64::from(x) / 8.0), count);
        let (image, result) = (batch * windows.image(), batch * windows.result());
        (Just(windows), eighths(image), eighths(result))
    })
}

fn padding(size: usize) -> usize {
    ((size.div_ceil(2) - 1) * 2 + 3 - size) / 2
}

/// For each result its window: where in the images each place is, if it is inside.
fn places_of(w: Windows, images: usize) -> Vec<[Option<usize>; 9]> {
    let mut windows = Vec::new();
    for n in 0..images / w.image() {
        for i in 0..w.height.div_ceil(2) {
            for j in 0..w.width.div_ceil(2) {
                for c in 0..w.channels {
                    windows.push(std::array::from_fn(|place| {
                        let row = (2 * i + place / 3).checked_sub(padding(w.height))?;
                        let column = (2 * j + place % 3).checked_sub(padding(w.width))?;
                        (row < w.height && column < w.width)
                            .then(|| ((n * w.height + row) * w.width + column) * w.channels + c)
                    }));
                }
            }
        }
    }
    windows
}

/// The maxima, their places and the gradient, from the definition.
fn expected(w: Windows, x: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<u8>, Vec<f64>) {
    let mut dx = vec![0.0; x.len()];
    let (mut y, mut places) = (Vec::new(), Vec::new());
    for (window, dy) in places_of(w, x.len()).iter().zip(dy) {
        let seen = |place: usize| window[place].map_or(f64::NEG_INFINITY, |at| x[at]);
        let max = (0..9).map(seen).fold(f64::NEG_INFINITY, f64::max);
        let place = (0..9).position(|place| seen(place) == max).unwrap();
        // A third of the gradients shall be stopped.
        let is_stopped = y.len() % 3 == 0;
        dx[window[place].unwrap()] += if is_stopped { 0.0 } else { *dy };
        y.push(max);
        places.push(place as u8);
    }
    (y, places, dx)
}

fn check<T: Scalar>(w: Windows, x: &[f64], dy: &[f64]) -> Result<(), TestCaseError> {
    let (y, places, dx) = expected(w, x, dy);
    let [x, y, dx, dy] = [x, &y, &dx, dy]
        .map(|numbers| -> Vec<T> { numbers.iter().map(|number| T::from_f64(*number)).collect() });
    for level in Level::available() {
        let (mut maxima, mut found) = (vec![T::from_f64(9.0); y.len()], vec![9; y.len()]);
        w.pool(level, &x, &mut maxima, &mut found);
        prop_assert_eq!(&maxima, &y, "{:?}", level);
        prop_assert_eq!(&found, &places, "{:?}", level);

        found
            .iter_mut()
            .step_by(3)
            .for_each(|place| *place = NOWHERE);
        let mut gradient = vec![T::from_f64(9.0); x.len()];
        w.spread(level, &dy, &found, &mut gradient);
        prop_assert_eq!(&gradient, &dx, "{:?}", level);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn maxima_and_gradients_are_those_of_the_definition((windows, x, dy) in images()) {
        check::<f32>(windows, &x, &dy)?;
        check::<f64>(windows, &x, &dy)?;
    }
}
