//! Every level against the formulas with powers in f64.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Pixels and gradients of as many. Numbers that f32 has.
fn pixels() -> impl Strategy<Value = (Pixels, Vec<f64>, Vec<f64>)> {
    let channels = prop_oneof![Just(1), Just(17), Just(64), 1..70usize];
    let lrn = (0..7usize, 0.5..2.0, 0.01..1.0).prop_map(|(radius, bias, alpha)| Lrn {
        radius,
        bias,
        alpha,
    });
    (1..20usize, channels, lrn).prop_flat_map(|(count, channels, lrn)| {
        let numbers = || prop::collection::vec((-2f32..2.0).prop_map(f64::from), count * channels);
        (Just(Pixels { lrn, channels }), numbers(), numbers())
    })
}

/// For each channel of a pixel the sum of what lies in its window.
fn window_sums(radius: usize, terms: &[f64]) -> Vec<f64> {
    (0..terms.len())
        .map(|c| {
            terms[c.saturating_sub(radius)..terms.len().min(c + radius + 1)]
                .iter()
                .sum()
        })
        .collect()
}

/// The result and the gradient of one pixel.
fn expected(lrn: Lrn, x: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let squares: Vec<f64> = x.iter().map(|x| x * x).collect();
    let s: Vec<f64> = (window_sums(lrn.radius, &squares).iter())
        .map(|sum| lrn.bias + lrn.alpha * sum)
        .collect();
    let products: Vec<f64> = (0..x.len())
        .map(|c| dy[c] * x[c] * s[c].powf(-1.75))
        .collect();
    let sums = window_sums(lrn.radius, &products);
    let gradient = |c: usize| dy[c] * s[c].powf(-0.75) - 1.5 * lrn.alpha * x[c] * sums[c];
    (
        (0..x.len()).map(|c| x[c] * s[c].powf(-0.75)).collect(),
        (0..x.len()).map(gradient).collect(),
    )
}

fn length(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.map(|x| x * x).sum::<f64>().sqrt()
}

/// How far both are apart, as a part of `scale`: terms of a gradient may cancel.
fn error<T: Scalar>(found: &[T], expected: &[f64], scale: &[f64]) -> f64 {
    let differences = found.iter().zip(expected).map(|(a, b)| a.to_f64() - b);
    length(differences) / length(scale.iter().copied()).max(1e-9)
}

fn check<T: Scalar>(
    pixels: Pixels,
    (x, dy): (&[f64], &[f64]),
    bound: f64,
) -> Result<(), TestCaseError> {
    let (mut y, mut dx) = (Vec::new(), Vec::new());
    for (x, dy) in x.chunks(pixels.channels).zip(dy.chunks(pixels.channels)) {
        let (results, gradients) = expected(pixels.lrn, x, dy);
        y.extend(results);
        dx.extend(gradients);
    }
    let cast = |numbers: &[f64]| -> Vec<T> { numbers.iter().map(|x| T::from_f64(*x)).collect() };
    for level in Level::available() {
        let mut out = vec![T::from_f64(9.0); x.len()];
        pixels.normalise(level, &cast(x), &mut out);
        let off = error(&out, &y, x);
        prop_assert!(off < bound, "{level:?}: results are off by {off}");

        pixels.gradient(level, &cast(x), &cast(dy), &mut out);
        let off = error(&out, &dx, dy);
        prop_assert!(off < bound, "{level:?}: gradients are off by {off}");
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
    fn results_and_gradients_are_those_of_the_formulas((pixels, x, dy) in pixels()) {
        check::<f32>(pixels, (&x, &dy), 1e-6)?;
        check::<f64>(pixels, (&x, &dy), 1e-14)?;
    }
}
