//! Every level against the definition. Eighths are added without rounding, so results are equal.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn eighths(count: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-3..4).prop_map(|x| f64::from(x) / 8.0), count)
}

/// Rows, gradients of as many, and for each channel a bias, which is also what sums begin with.
fn rows() -> impl Strategy<Value = [Vec<f64>; 3]> {
    let channels = prop_oneof![Just(1), Just(16), Just(17), 1..70usize];
    (0..20usize, channels).prop_flat_map(|(rows, channels)| {
        let count = rows * channels;
        [count, count, channels].map(|count| eighths(count).boxed())
    })
}

fn cast<T: Scalar>(numbers: &[f64]) -> Vec<T> {
    numbers.iter().map(|number| T::from_f64(*number)).collect()
}

/// `sums`, plus the rows.
fn sum_of(sums: &[f64], rows: &[f64]) -> Vec<f64> {
    let mut sums = sums.to_vec();
    for row in rows.chunks(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    sums
}

fn check_results<T: Scalar>([x, _, biases]: &[Vec<f64>; 3]) -> Result<(), TestCaseError> {
    let sum = |(at, x): (usize, &f64)| x + biases[at % biases.len()];
    let plain: Vec<f64> = x.iter().enumerate().map(sum).collect();
    let rectified: Vec<f64> = plain.iter().map(|x| x.max(0.0)).collect();
    let open: Vec<u8> = (0..x.len()).map(|at| (at % 9) as u8).collect();
    let gated: Vec<u8> = (open.iter().zip(&plain))
        .map(|(place, x)| if *x > 0.0 { *place } else { NOWHERE })
        .collect();
    for level in Level::available() {
        for (activation, y, places) in [
            (Activation::Identity, &plain, &open),
            (Activation::Relu, &rectified, &gated),
        ] {
            let mut rows = cast::<T>(x);
            activation.add_biases(level, &mut rows, &cast(biases));
            prop_assert_eq!(rows, cast(y), "{:?}", level);

            let (mut maxima, mut found) = (cast::<T>(x), open.clone());
            activation.add_biases_to_maxima(level, &mut maxima, &mut found, &cast(biases));
            prop_assert_eq!(maxima, cast(y), "{:?}", level);
            prop_assert_eq!(&found, places, "{:?}", level);
        }
    }
    Ok(())
}

fn check_gradients<T: Scalar>([y, dy, before]: &[Vec<f64>; 3]) -> Result<(), TestCaseError> {
    let passed: Vec<f64> = (y.iter().zip(dy))
        .map(|(y, dy)| if *y > 0.0 { *dy } else { 0.0 })
        .collect();
    let places: Vec<u8> = (y.iter())
        .map(|y| if *y > 0.0 { 8 } else { NOWHERE })
        .collect();
    let (y, gradient) = (cast::<T>(y), cast::<T>(dy));
    for level in Level::available() {
        let mut out = vec![T::from_f64(9.0); y.len()];
        let mut sums = cast::<T>(before);
        rectify_gradient(level, &y, &gradient, &mut out, &mut sums);
        prop_assert_eq!(out, cast(&passed), "{:?}", level);
        prop_assert_eq!(sums, cast(&sum_of(before, &passed)), "{:?}", level);

        let mut sums = cast::<T>(before);
        add_passed(level, &gradient, &places, &mut sums);
        prop_assert_eq!(sums, cast(&sum_of(before, &passed)), "{:?}", level);

        let mut sums = cast::<T>(before);
        add_rows(level, &gradient, &mut sums);
        prop_assert_eq!(sums, cast(&sum_of(before, dy)), "{:?}", level);
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
    fn results_and_gradients_are_those_of_the_definition(rows in rows()) {
        check_results::<f32>(&rows)?;
        check_results::<f64>(&rows)?;
        check_gradients::<f32>(&rows)?;
        check_gradients::<f64>(&rows)?;
    }
}

#[test]
fn what_is_not_a_number_is_not_hidden() {
    for level in Level::available() {
        let mut rows = [f32::NAN, 1.0];
        Activation::Relu.add_biases(level, &mut rows, &[0.0, 0.0]);
        assert!(rows[0].is_nan(), "{level:?}");
    }
}
