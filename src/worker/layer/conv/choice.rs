//! Which algorithm computes a convolution.

use super::super::scalar::Scalar;
use super::super::simd::Level;
use super::algorithm::Algorithm;
use super::direct::Direct;
use super::geometry::Geometry;
use super::im2col::Im2col;
use super::winograd::Winograd;
use crate::terms::Convolution;

/// The algorithm that `asked` means for this geometry and processor: never `auto`.
pub fn resolve(asked: Convolution, geometry: Geometry, filters: usize) -> Convolution {
    match asked {
        Convolution::Direct | Convolution::Im2col => asked,
        // Without vector instructions of our own, those of the gemm crate are the fastest.
        Convolution::Auto if Level::best() == Level::Portable => Convolution::Im2col,
        Convolution::Auto | Convolution::Winograd => {
            match Winograd::new(geometry, filters, Level::best()) {
                Some(_) => Convolution::Winograd,
                None => Convolution::Direct,
            }
        }
    }
}

/// The algorithm that [`resolve`] names.
pub fn algorithm<T: Scalar>(
    asked: Convolution,
    geometry: Geometry,
    filters: usize,
) -> Box<dyn Algorithm<T>> {
    let level = Level::best();
    match resolve(asked, geometry, filters) {
        Convolution::Im2col => Box::new(Im2col::new(geometry, filters)),
        Convolution::Winograd => {
            let winograd = Winograd::new(geometry, filters, level);
            Box::new(winograd.expect("it was chosen for this shape"))
        }
        Convolution::Auto | Convolution::Direct => Box::new(Direct::new(geometry, filters, level)),
    }
}
