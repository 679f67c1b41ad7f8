//! How a batch is split over the threads of the current pool.

use super::scalar::Scalar;

/// Examples that one thread takes: all threads get as many, the last ones perhaps fewer. Fixed by
/// the two numbers, so that sums over a batch are always added in the same order.
pub fn examples_per_thread(batch: usize) -> usize {
    batch.div_ceil(rayon::current_num_threads()).max(1)
}

/// Adds `values` to `sum`, element by element.
pub fn add<T: Scalar>(sum: &mut [T], values: &[T]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += *value;
    }
}
