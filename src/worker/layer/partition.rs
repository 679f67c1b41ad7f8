//! How a batch is split over the threads of the current pool.

use super::scalar::Scalar;
use rayon::prelude::*;

/// Examples that one thread takes: all threads get as many, the last ones perhaps fewer. Fixed by
/// the two numbers, so that sums over a batch are always added in the same order.
pub fn examples_per_thread(batch: usize) -> usize {
    batch.div_ceil(rayon::current_num_threads()).max(1)
}

/// Adds equally long arrays, element by element, from the first to the last.
pub fn sum_of<T: Scalar>(parts: Vec<Vec<T>>) -> Vec<T> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    for part in parts {
        const CHUNK: usize = 1 << 14;
        sum.par_chunks_mut(CHUNK)
            .zip(part.par_chunks(CHUNK))
            .for_each(|(sum, part)| add(sum, part));
    }
    sum
}

/// Adds `values` to `sum`, element by element.
pub fn add<T: Scalar>(sum: &mut [T], values: &[T]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += *value;
    }
}

/// Adds each row of `rows` to `sum`.
pub fn add_rows<T: Scalar>(sum: &mut [T], rows: &[T]) {
    for row in rows.chunks(sum.len()) {
        add(sum, row);
    }
}
