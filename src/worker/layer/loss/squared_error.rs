//! Mean squared error, and its gradient.
//!
//! In: predictions and targets, equally many in any shape: `1/n · Σ (y − t)²` with gradient
//! `2/n · (y − t)`. Summed in f64 for both number types, so that large batches lose nothing.

use super::super::scalar::Scalar;

/// The mean over all numbers. Overwrites `gradient` with its gradient by the predictions.
pub fn squared_error<T: Scalar>(predictions: &[T], targets: &[T], gradient: &mut [T]) -> f64 {
    assert_eq!(targets.len(), predictions.len());
    assert_eq!(gradient.len(), predictions.len());
    let share = 1.0 / predictions.len() as f64;
    let slope = T::from_f64(2.0 * share);
    let mut sum = 0.0;
    for ((gradient, y), target) in gradient.iter_mut().zip(predictions).zip(targets) {
        let error = *y - *target;
        *gradient = slope * error;
        sum += error.to_f64() * error.to_f64();
    }
    share * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_and_gradient_are_those_of_the_formula() {
        let (predictions, targets) = ([1.0f32, -2.0, 0.5, 4.0], [0.0f32, 1.0, 0.5, 2.0]);
        let mut gradient = [9.0; 4];
        assert_eq!(squared_error(&predictions, &targets, &mut gradient), 3.5);
        assert_eq!(gradient, [0.5, -1.5, 0.0, 1.0]);
    }
}
