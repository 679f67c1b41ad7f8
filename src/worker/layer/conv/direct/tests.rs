//! Every level against plain loops in f64.

use super::*;
use proptest::prelude::*;

/// Sizes of a convolution, and a batch.
#[derive(Clone, Copy, Debug)]
struct Case {
    geometry: Geometry,
    filters: usize,
    batch: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (1..=7usize, 1..=14usize, 1..=14usize, 1..=9usize);
    let rest = (1..=70usize, 1..=2usize, 0..7usize);
    (sizes, rest).prop_filter_map(
        "no convolution",
        |((kernel, height, width, channels), (filters, batch, padding))| {
            let geometry = Geometry {
                height,
                width,
                channels,
                kernel,
                padding: padding % kernel,
            };
            geometry.is_valid().then_some(Case {
                geometry,
                filters,
                batch,
            })
        },
    )
}

/// Numbers from -1 to 1 without a pattern; the same for the same seed.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            f64::from((state >> 40) as f32) / f64::from(1u32 << 23) - 1.0
        })
        .collect()
}

/// Calls `f` with the places of each product of an image, a weight and a result.
fn for_each_product(case: Case, mut f: impl FnMut(usize, usize, usize)) {
    let g = case.geometry;
    for n in 0..case.batch {
        for pixel in 0..g.pixels() {
            let (y, x) = (pixel / g.out_width(), pixel % g.out_width());
            for tap in 0..g.kernel * g.kernel {
                let (iy, ix) = (y + tap / g.kernel, x + tap % g.kernel);
                let (Some(iy), Some(ix)) = (iy.checked_sub(g.padding), ix.checked_sub(g.padding))
                else {
                    continue;
                };
                if iy >= g.height || ix >= g.width {
                    continue;
                }
                for c in 0..g.channels {
                    for o in 0..case.filters {
                        let image = ((n * g.height + iy) * g.width + ix) * g.channels + c;
                        let weight = (tap * g.channels + c) * case.filters + o;
                        let result = (n * g.pixels() + pixel) * case.filters + o;
                        f(image, weight, result);
                    }
                }
            }
        }
    }
}

/// Relative error in the L2 norm.
fn error<T: Scalar>(found: &[T], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let differences = &mut found.iter().zip(expected).map(|(a, b)| a.to_f64() - b);
    norm(differences) / norm(&mut expected.iter().copied()).max(1e-300)
}

/// Both directions against plain loops.
fn check<T: Scalar>(case: Case, bound: f64) {
    let g = case.geometry;
    let images = numbers(case.batch * g.image(), 1);
    let weights = numbers(g.patch() * case.filters, 2);
    let gradients = numbers(case.batch * g.pixels() * case.filters, 3);
    let before = numbers(weights.len(), 4);
    let mut results = vec![0.0; gradients.len()];
    let mut sums = before.clone();
    for_each_product(case, |image, weight, result| {
        results[result] += images[image] * weights[weight];
        sums[weight] += images[image] * gradients[result];
    });
    let of = |x: &[f64]| -> Vec<T> { x.iter().map(|x| T::from_f64(*x)).collect() };
    let (images, weights, gradients) = (of(&images), of(&weights), of(&gradients));
    for level in Level::available() {
        let direct = Direct::new(g, case.filters, level);
        let (mut prepared, mut room) = (of(&[7.0; 9]), of(&[7.0; 5]));
        direct.prepare(&weights, &mut prepared);
        let mut out = vec![T::from_f64(7.0); results.len()];
        direct.convolve(&images, &prepared, &mut out, &mut room);
        let off = error(&out, &results);
        assert!(off < bound, "{level:?}, {case:?}: results are off by {off}");

        let mut found = of(&before);
        direct.correlate(&images, &gradients, &mut found, &mut room);
        let mut gradient = vec![T::from_f64(7.0); found.len()];
        Algorithm::<T>::weight_gradient(&direct, &found, &mut gradient);
        let off = error(&gradient, &sums);
        assert!(off < bound, "{level:?}, {case:?}: sums are off by {off}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn single_numbers_are_right(case in cases()) {
        check::<f32>(case, 2e-6);
    }

    #[test]
    fn double_numbers_are_right(case in cases()) {
        check::<f64>(case, 1e-13);
    }
}
