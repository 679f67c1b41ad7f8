//! Which algorithm computes a convolution.

use super::super::scalar::Scalar;
use super::algorithm::Algorithm;
use super::geometry::Geometry;
use super::im2col::Im2col;
use crate::terms::Convolution;

/// The algorithm that `asked` means for this geometry.
pub fn resolve(_: Convolution, _: Geometry, _: usize) -> Convolution {
    Convolution::Im2col
}

/// The algorithm that [`resolve`] names.
pub fn algorithm<T: Scalar>(
    _: Convolution,
    geometry: Geometry,
    filters: usize,
) -> Box<dyn Algorithm<T>> {
    Box::new(Im2col::new(geometry, filters))
}
