//! What follows the weights of a layer, fused into it.

use super::scalar::Scalar;
use std::borrow::Cow;

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

    /// The gradient by the function's argument, from its result and the gradient by its result.
    pub(super) fn backward<'a, T: Scalar>(self, y: &[T], dy: &'a [T]) -> Cow<'a, [T]> {
        match self {
            Self::Identity => Cow::Borrowed(dy),
            Self::Relu => {
                let passed = |(y, dy): (&T, &T)| if *y > T::zero() { *dy } else { T::zero() };
                y.iter().zip(dy).map(passed).collect()
            }
        }
    }
}
