//! What follows the weights of a layer, fused into it.

use super::partition::add_rows;
use super::scalar::Scalar;

/// What is applied to each number that a layer with weights gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Identity,
    /// `max(0, x)`, with gradient 0 at 0.
    Relu,
}

impl Activation {
    /// Adds `biases` to each row, then applies the function.
    pub(super) fn finish<T: Scalar>(self, rows: &mut [T], biases: &[T]) {
        for row in rows.chunks_mut(biases.len()) {
            for (y, bias) in row.iter_mut().zip(biases) {
                let x = *y + *bias;
                *y = match self {
                    Self::Identity => x,
                    Self::Relu => x.or_larger(T::zero()),
                };
            }
        }
    }

    /// [`finish`](Self::finish) of maxima, which marks those that the function stops in `places`.
    pub(super) fn finish_pooled<T: Scalar>(self, rows: &mut [T], places: &mut [u8], biases: &[T]) {
        self.finish(rows, biases);
        if self == Self::Relu {
            for (y, place) in rows.iter().zip(places) {
                *place = if *y > T::zero() { *place } else { STOPPED };
            }
        }
    }

    /// The gradient by the function's argument, from its result and the gradient by its result;
    /// adds its rows to `biases`.
    pub(super) fn backward<T: Scalar>(self, y: &[T], dy: &[T], out: &mut [T], biases: &mut [T]) {
        for ((out, y), dy) in out.iter_mut().zip(y).zip(dy) {
            let passes = self == Self::Identity || *y > T::zero();
            *out = if passes { *dy } else { T::zero() };
        }
        add_rows(biases, out);
    }
}

/// The place of a maximum that a rectifier stopped.
pub(super) const STOPPED: u8 = u8::MAX;

/// Adds the rows of `dy` to `biases`, without what was stopped.
pub(super) fn add_passed<T: Scalar>(biases: &mut [T], dy: &[T], places: &[u8]) {
    let width = biases.len();
    for (dy, places) in dy.chunks(width).zip(places.chunks(width)) {
        for ((bias, dy), place) in biases.iter_mut().zip(dy).zip(places) {
            *bias += if *place == STOPPED { T::zero() } else { *dy };
        }
    }
}
