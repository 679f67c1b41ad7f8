//! The linear maps against polynomials, and whole convolutions against plain loops, at every level.

use super::super::super::simd::{Kernel, Vector};
use super::points::Points;
use super::transform::{Evaluate, EvaluateTransposed, InterpolateTransposed, Map, Weights};
use super::*;
use proptest::prelude::*;

/// Random numbers in `[-1, 1)`.
fn random(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(2) | 1;
    let mut next = || {
        for shift in [13, 7, 17] {
            state ^= if shift == 7 {
                state >> 7
            } else {
                state << shift
            };
        }
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..8).for_each(|_| _ = next());
    (0..count).map(|_| next()).collect()
}

/// Results of 4 and filters of `K` numbers in one dimension.
struct OneDimension<const N: usize, const K: usize>;

impl<const N: usize, const K: usize> Kernel<f64> for OneDimension<N, K> {
    /// The largest errors of `Eᵀ (E w ⊙ Iᵀ x)`, and of `Eᵀ` as the transpose of `E`.
    type Output = [f64; 2];

    #[inline(always)]
    fn run<V: Vector<Element = f64>>(self) -> [f64; 2] {
        let points = Points::<V, N>::new();
        let numbers = random(2 * N, 1);
        let x: [V; N] = std::array::from_fn(|i| V::splat(numbers[i]));
        let w: [V; K] = std::array::from_fn(|i| V::splat(numbers[N + i]));
        let lane = |x: V| x.sum() / V::LANES as f64;

        let image = InterpolateTransposed::line(&points, x);
        let weights: [V; N] = Weights::line(&points, w);
        let products: [V; N] = std::array::from_fn(|i| image[i].mul(weights[i]));
        let y: [V; OUTPUTS] = EvaluateTransposed::line(&points, products);
        let convolution = (0..OUTPUTS).map(|i| {
            let exact: f64 = (0..K).map(|k| numbers[i + k] * numbers[N + k]).sum();
            (lane(y[i]) - exact).abs()
        });

        let values: [V; N] = Evaluate::line(&points, w);
        let back: [V; K] = EvaluateTransposed::line(&points, x);
        let one: f64 = (0..N).map(|i| lane(values[i]) * numbers[i]).sum();
        let other: f64 = (0..K).map(|k| lane(back[k]) * numbers[N + k]).sum();
        [convolution.fold(0.0, f64::max), (one - other).abs()]
    }
}

#[test]
fn one_dimension_is_exact() {
    let errors = [
        Level::Portable.run(OneDimension::<6, 3>),
        Level::Portable.run(OneDimension::<8, 5>),
    ];
    assert!(errors.iter().flatten().all(|e| *e < 1e-13), "{errors:?}");
}

/// What an algorithm should give, by plain loops.
struct Plain {
    results: Vec<f64>,
    weight_gradient: Vec<f64>,
}

struct Case {
    plan: Winograd,
    batch: usize,
    images: Vec<f64>,
    weights: Vec<f64>,
    gradients: Vec<f64>,
}

impl Case {
    fn new(geometry: Geometry, filters: usize, batch: usize, positive: bool) -> Self {
        let mut images = random(batch * geometry.image(), 1);
        if positive {
            images.iter_mut().for_each(|x| *x = x.max(0.0));
        }
        // Numbers of f32, so that only the computation is rounded.
        let single = |numbers: Vec<f64>| numbers.into_iter().map(|x| f64::from(x as f32)).collect();
        Self {
            plan: Winograd {
                geometry,
                filters,
                level: Level::best(),
            },
            batch,
            images: single(images),
            weights: single(random(geometry.patch() * filters, 2)),
            gradients: single(random(batch * geometry.pixels() * filters, 3)),
        }
    }

    fn plain(&self) -> Plain {
        let (g, filters) = (self.plan.geometry, self.plan.filters);
        let mut results = vec![0.0; self.gradients.len()];
        let mut weight_gradient = vec![0.0; self.weights.len()];
        let pixels = (0..self.batch * g.pixels()).flat_map(|pixel| {
            (0..g.kernel * g.kernel).map(move |tap| (pixel, tap / g.kernel, tap % g.kernel))
        });
        for (pixel, u, v) in pixels {
            let (image, at) = (pixel / g.pixels(), pixel % g.pixels());
            let y = (at / g.out_width() + u).wrapping_sub(g.padding);
            let x = (at % g.out_width() + v).wrapping_sub(g.padding);
            if y >= g.height || x >= g.width {
                continue;
            }
            for c in 0..g.channels {
                let x = self.images[((image * g.height + y) * g.width + x) * g.channels + c];
                let row = ((u * g.kernel + v) * g.channels + c) * filters;
                for o in 0..filters {
                    results[pixel * filters + o] += x * self.weights[row + o];
                    weight_gradient[row + o] += x * self.gradients[pixel * filters + o];
                }
            }
        }
        Plain {
            results,
            weight_gradient,
        }
    }

    /// Relative L2 errors of results and weight gradient, handed over in uneven parts.
    fn errors<T: Scalar>(&self, level: Level) -> [f64; 2] {
        let plan = Winograd { level, ..self.plan };
        let of = |numbers: &[f64]| numbers.iter().map(|x| T::from_f64(*x)).collect::<Vec<_>>();
        let (images, gradients) = (of(&self.images), of(&self.gradients));
        // What buffers hold before must not matter.
        let nan = T::from_f64(f64::NAN);
        let (mut prepared, mut room) = (vec![nan; 3], vec![nan; 1000]);
        let mut results = vec![nan; gradients.len()];
        let mut sums = vec![T::zero(); Algorithm::<T>::sums(&plan)];
        plan.prepare(&of(&self.weights), &mut prepared);
        let part = self.batch.div_ceil(2);
        let [image, result] = [plan.geometry.image(), gradients.len() / self.batch];
        let parts = images
            .chunks(part * image)
            .zip(gradients.chunks(part * result));
        for ((images, gradients), results) in parts.zip(results.chunks_mut(part * result)) {
            plan.convolve(images, &prepared, results, &mut room);
            plan.correlate(images, gradients, &mut sums, &mut room);
        }
        let mut weight_gradient = vec![nan; self.weights.len()];
        plan.weight_gradient(&sums, &mut weight_gradient);
        let plain = self.plain();
        [
            error(&results, &plain.results),
            error(&weight_gradient, &plain.weight_gradient),
        ]
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for level in Level::available() {
            let [forward, backward] = self.errors::<f32>(level);
            prop_assert!(
                forward < 5e-6 && backward < 8e-6,
                "{level:?}: {forward:e}, {backward:e}"
            );
        }
        let [forward, backward] = self.errors::<f64>(Level::Portable);
        prop_assert!(
            forward < 1e-13 && backward < 1e-13,
            "f64: {forward:e}, {backward:e}"
        );
        Ok(())
    }
}

/// The L2 norm of the difference, relative to that of `expected`.
fn error<T: Scalar>(found: &[T], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let difference = found
        .iter()
        .zip(expected)
        .map(|(x, y)| (x.to_f64() - y).powi(2));
    (difference.sum::<f64>() / expected.iter().map(|x| x * x).sum::<f64>()).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_shape_agrees_with_plain_loops(
        (kernel, padding) in prop_oneof![Just(3usize), Just(5)].prop_flat_map(|k| (Just(k), 0..k)),
        [rows, columns] in [1usize..9, 1usize..9],
        [channels, filters] in [1usize..20, 1usize..36],
        batch in 1usize..4,
        positive: bool,
    ) {
        let least = kernel.saturating_sub(2 * padding + 1);
        let geometry = Geometry {
            height: rows + least,
            width: columns + least,
            channels,
            kernel,
            padding,
        };
        Case::new(geometry, filters, batch, positive).check()?;
    }
}

/// The second convolution of the CIFAR-10 model: more tiles than are computed at a time, whole
/// register tiles, and sums over many steps.
#[test]
fn many_channels_and_tiles_agree_with_plain_loops() {
    for (kernel, positive) in [(3, false), (5, false), (5, true)] {
        let geometry = Geometry {
            height: 12,
            width: 12,
            channels: 64,
            kernel,
            padding: kernel / 2,
        };
        let case = Case::new(geometry, 64, 3, positive);
        let [forward, backward] = case.errors::<f32>(Level::best());
        let bounds = if kernel == 3 { [1e-6; 2] } else { [3e-6, 5e-6] };
        assert!(
            forward < bounds[0] && backward < bounds[1],
            "kernel {kernel}, positive {positive}: {forward:e}, {backward:e}"
        );
    }
}

#[test]
fn shapes_that_are_not_worth_it_are_refused() {
    let geometry = |size, kernel, channels| Geometry {
        height: size,
        width: size,
        channels,
        kernel,
        padding: kernel / 2,
    };
    let served = |g, filters| Winograd::new(g, filters, Level::Portable).is_some();
    assert!(served(geometry(12, 5, 64), 64));
    assert!(served(geometry(12, 3, 64), 64));
    assert!(!served(geometry(12, 4, 64), 64), "no such points");
    assert!(!served(geometry(24, 5, 3), 64), "few channels");
    assert!(!served(geometry(12, 5, 64), 1), "few filters");
    assert!(!served(geometry(2, 3, 64), 64), "tiles are mostly outside");
}
