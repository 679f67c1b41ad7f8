use super::random::Random;
use super::*;
use proptest::prelude::*;

/// The ratio of pairs of one value for each process.
fn paired_ratio(pairs: &[(f64, f64)]) -> Option<Estimate> {
    let block = |(over, under): &(f64, f64)| Block {
        build: 0,
        over: vec![*over],
        under: vec![*under],
    };
    let blocks: Vec<Block> = pairs.iter().map(block).collect();
    ratio_of_blocks(&blocks, Draws::default()).map(|tested| tested.estimate)
}

#[test]
fn figures_of_a_known_sample() {
    let values = [4.0, 1.0, 3.0, 2.0, 10.0];
    assert_eq!(median(&values), Some(3.0));
    assert_eq!(median(&values[..4]), Some(2.5));
    assert_eq!(mad(&values), Some(MAD_TO_DEVIATION));
    assert_eq!(quantile(&values, 0.0), Some(1.0));
    assert_eq!(quantile(&values, 0.75), Some(4.0));
    assert_eq!(quantile(&values, 0.875), Some(7.0));
    assert_eq!(quantile(&values, 1.0), Some(10.0));
}

#[test]
fn nothing_has_no_figures() {
    assert_eq!(
        (median(&[]), mad(&[]), quantile(&[], 0.5)),
        (None, None, None)
    );
}

#[test]
fn six_values_are_the_fewest_that_decide() {
    let values = [5.0, 1.0, 4.0, 2.0, 3.0, 6.0];
    let estimate = interval(&values).unwrap();
    assert_eq!(
        (estimate.low, estimate.median, estimate.high),
        (1.0, 3.5, 6.0)
    );
    assert_eq!((estimate.n, estimate.coverage), (6, 0.96875));
    assert_eq!(interval(&values[..5]), None);
    let pairs: Vec<_> = values.iter().map(|value| (2.0 * value, *value)).collect();
    assert_eq!(paired_ratio(&pairs[..5]), None);
    assert_eq!(paired_ratio(&pairs).unwrap().coverage, 0.96875);
}

/// The share of 20,000 simulated samples whose interval covers the true value lies within four
/// standard errors of the coverage that the estimate claims.
fn assert_coverage(n: usize, truth: f64, mut sample: impl FnMut(usize) -> Estimate) {
    let trials = 20_000;
    let claimed = sample(n).coverage;
    let covers = |estimate: Estimate| (estimate.low..=estimate.high).contains(&truth);
    let covered = (0..trials).filter(|_| covers(sample(n))).count();
    let share = covered as f64 / trials as f64;
    let error = (claimed * (1.0 - claimed) / trials as f64).sqrt();
    assert!(
        (share - claimed).abs() < 4.0 * error,
        "n = {n}: {share} instead of {claimed}"
    );
}

#[test]
fn an_interval_covers_the_median_of_a_skewed_distribution_as_often_as_it_says() {
    let mut uniform = Random::new(1);
    for n in [6, 8, 10] {
        assert_coverage(n, 2f64.ln(), |n| {
            let exponential: Vec<f64> = (0..n).map(|_| -uniform.unit().ln()).collect();
            interval(&exponential).unwrap()
        });
    }
}

#[test]
fn a_paired_ratio_covers_the_true_one_through_drift_as_often_as_it_says() {
    let mut uniform = Random::new(2);
    for n in [6, 8, 10] {
        assert_coverage(n, 1.5, |n| {
            let mut noise = || (0.2 * (uniform.unit() - 0.5)).exp();
            let drift = |block: usize| 1.0 + block as f64;
            let pairs: Vec<_> = (0..n)
                .map(|b| (1.5 * drift(b) * noise(), drift(b) * noise()))
                .collect();
            paired_ratio(&pairs).unwrap()
        });
    }
}

#[test]
fn a_ratio_needs_positive_values_in_every_window() {
    let mut pairs = [(2.0, 1.0); 6];
    assert_eq!(paired_ratio(&pairs).unwrap().median, 2.0);
    pairs[3].1 = 0.0;
    assert_eq!(paired_ratio(&pairs), None);
    let block = Block {
        build: 0,
        over: vec![1.0, 0.0, 1.0],
        under: vec![1.0],
    };
    let blocks = vec![block; 6];
    assert_eq!(ratio_of_blocks(&blocks, Draws::default()), None);
    assert_eq!(unpaired_ratio(&[1.0; 6], &[1.0, 1.0, 1.0, 1.0, -1.0]), None);
}

#[test]
fn many_blocks_are_bootstrapped_to_nearly_the_exact_interval() {
    let mut random = Random::new(3);
    let mut noise = || (0.1 * (random.unit() + random.unit() - 1.0)).exp();
    let pairs: Vec<_> = (0..40).map(|_| (1.1 * noise(), noise())).collect();
    let exact = |pairs: &[(f64, f64)]| {
        let logs: Vec<f64> = pairs.iter().map(|(a, b)| (a / b).ln()).collect();
        paired::signed_rank(&logs).unwrap().estimate
    };
    assert_eq!(paired_ratio(&pairs[..19]).unwrap().n, 19);
    assert!((paired_ratio(&pairs[..19]).unwrap().low - exact(&pairs[..19]).low).abs() < 1e-12);
    let (drawn, exact) = (paired_ratio(&pairs).unwrap(), exact(&pairs));
    assert!((drawn.median - exact.median).abs() < 1e-12);
    let share = (drawn.high / drawn.low).ln() / (exact.high / exact.low).ln();
    assert!((0.85..1.15).contains(&share), "{share}");
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(1e-3..1e3f64, 6..30)
}

/// Every figure of one sample and, for pairs, of neighbouring values.
fn figures(values: &[f64]) -> [f64; 7] {
    let middle = interval(values).unwrap();
    [
        median(values).unwrap(),
        mad(values).unwrap(),
        quantile(values, 0.1).unwrap(),
        quantile(values, 0.9).unwrap(),
        middle.low,
        middle.median,
        middle.high,
    ]
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-9)
}

proptest! {
    #[test]
    fn order_does_not_matter(values in values(), shift in 0usize..30) {
        let mut other: Vec<f64> = values.iter().rev().copied().collect();
        other.rotate_left(shift % values.len());
        for (a, b) in figures(&values).into_iter().zip(figures(&other)) {
            prop_assert!(close(a, b), "{a} {b}");
        }
    }

    #[test]
    fn figures_scale_with_their_values(values in values(), scale in 1e-3..1e3f64) {
        let scaled: Vec<f64> = values.iter().map(|value| value * scale).collect();
        for (a, b) in figures(&values).into_iter().zip(figures(&scaled)) {
            prop_assert!(close(a * scale, b), "{a} {b}");
        }
    }

    #[test]
    fn an_estimate_lies_within_its_interval_and_the_interval_within_the_data(values in values()) {
        let estimate = interval(&values).unwrap();
        prop_assert!(estimate.low <= estimate.median && estimate.median <= estimate.high);
        prop_assert!(values.contains(&estimate.low) && values.contains(&estimate.high));
        prop_assert!(estimate.coverage >= CONFIDENCE);
    }

    #[test]
    fn a_ratio_turns_over_with_its_sides_and_forgets_drift(
        pairs in prop::collection::vec((1e-3..1e3f64, 1e-3..1e3f64, 1e-3..1e3f64), 6..20)
    ) {
        let plain: Vec<_> = pairs.iter().map(|(a, b, _)| (*a, *b)).collect();
        let turned: Vec<_> = pairs.iter().map(|(a, b, _)| (*b, *a)).collect();
        let drifted: Vec<_> = pairs.iter().map(|(a, b, drift)| (a * drift, b * drift)).collect();
        let ratio = paired_ratio(&plain).unwrap();
        prop_assert!(ratio.low <= ratio.median && ratio.median <= ratio.high);
        let inverse = paired_ratio(&turned).unwrap();
        prop_assert!(close(ratio.low, 1.0 / inverse.high) && close(ratio.median, 1.0 / inverse.median));
        let same = paired_ratio(&drifted).unwrap();
        prop_assert!(close(ratio.low, same.low) && close(ratio.high, same.high));
    }
}
