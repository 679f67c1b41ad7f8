//! Mean cross-entropy of a softmax, and its gradient.
//!
//! In: numbers before the softmax `(batch, classes)` and the class of each example. With
//! `p[i] = exp(z[i]) / Σ exp(z[j])` the value of an example of class `k` is `−ln p[k]` and its gradient
//! `p[i] − [i = k]`. The largest number of an example is subtracted first, so that no power overflows.
//! Computed in f64 for both number types; a batch has few numbers.

use super::super::scalar::Scalar;

/// The mean over the batch. Overwrites `gradient` with its gradient. Panics where a label is no class.
pub fn cross_entropy<T: Scalar>(
    logits: &[T],
    labels: &[u32],
    classes: usize,
    gradient: &mut [T],
) -> f64 {
    assert_eq!(logits.len(), labels.len() * classes);
    assert_eq!(gradient.len(), logits.len());
    let share = 1.0 / labels.len() as f64;
    let mut sum = 0.0;
    let examples = logits.chunks(classes).zip(gradient.chunks_mut(classes));
    for ((logits, gradient), label) in examples.zip(labels) {
        let label = *label as usize;
        let largest = logits
            .iter()
            .fold(f64::NEG_INFINITY, |largest, z| largest.max(z.to_f64()));
        let total: f64 = logits.iter().map(|z| (z.to_f64() - largest).exp()).sum();
        let log_total = largest + total.ln();
        for (class, (gradient, z)) in gradient.iter_mut().zip(logits).enumerate() {
            let probability = (z.to_f64() - log_total).exp();
            let target = if class == label { 1.0 } else { 0.0 };
            *gradient = T::from_f64(share * (probability - target));
        }
        sum += log_total - logits[label].to_f64();
    }
    share * sum
}

#[cfg(test)]
mod tests;
