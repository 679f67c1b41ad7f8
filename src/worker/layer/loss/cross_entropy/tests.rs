//! Against values known by hand and against differences.

use super::*;

#[test]
fn equal_numbers_cost_the_logarithm_of_their_count() {
    let mut gradient = [9.0f32; 8];
    let value = cross_entropy(&[3.0f32; 8], &[0, 3], 4, &mut gradient);
    assert!((value - 4f64.ln()).abs() < 1e-12);
    let (off, on) = (0.125, -0.375);
    assert_eq!(gradient, [on, off, off, off, off, off, off, on]);
}

#[test]
fn the_gradient_is_that_of_the_value() {
    let logits: Vec<f64> = (0..21).map(|i| (f64::from(i) * 1.7).sin() * 3.0).collect();
    let labels = [2, 0, 6];
    let value = |logits: &[f64]| cross_entropy(logits, &labels, 7, &mut [0.0; 21]);
    let mut gradient = [0.0; 21];
    cross_entropy(&logits, &labels, 7, &mut gradient);
    const STEP: f64 = 1e-5;
    for i in 0..logits.len() {
        let moved = |by: f64| {
            let mut logits = logits.clone();
            logits[i] += by;
            value(&logits)
        };
        let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        assert!((slope - gradient[i]).abs() < 1e-9, "{i}: {slope}");
    }
}

#[test]
fn large_numbers_neither_overflow_nor_vanish() {
    let mut gradient = [0.0f32; 3];
    let value = cross_entropy(&[1e4f32, -1e4, 0.0], &[1], 3, &mut gradient);
    assert_eq!((value, gradient), (2e4, [1.0, -1.0, 0.0]));
}

#[test]
fn what_is_not_a_number_is_not_hidden() {
    let mut gradient = [0.0f32; 2];
    assert!(cross_entropy(&[f32::NAN, 0.0], &[1], 2, &mut gradient).is_nan());
}
