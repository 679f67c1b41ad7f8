//! Which algorithm computes a convolution.

use super::super::scalar::Scalar;
use super::super::simd::Level;
use super::algorithm::Algorithm;
use super::direct::Direct;
use super::geometry::Geometry;
use super::im2col::Im2col;
use super::winograd::Winograd;
use crate::terms::Convolution;
use crate::worker::gpu::cudnn;
use candle_core::Result;

/// The algorithm that `asked` means on a GPU: never `auto`.
///
/// # Errors
/// There is no such algorithm for GPUs, or not in this program.
pub fn resolve_on_gpu(asked: Convolution) -> Result<Convolution> {
    match asked {
        Convolution::Auto if cudnn::IS_BUILT_IN => Ok(Convolution::Cudnn),
        Convolution::Auto => Ok(Convolution::Im2col),
        Convolution::Cudnn if !cudnn::IS_BUILT_IN => candle_core::bail!(
            "this program was built without the feature `cudnn`: \
             model.convolution is auto, im2col or direct"
        ),
        Convolution::Winograd => candle_core::bail!(
            "no kernel for GPUs computes winograd convolutions: \
             model.convolution is auto, cudnn, im2col or direct"
        ),
        Convolution::Cudnn | Convolution::Direct | Convolution::Im2col => Ok(asked),
    }
}

/// That a processor can compute it.
///
/// # Errors
/// It is an algorithm of GPUs alone.
pub fn check_on_cpu(asked: Convolution) -> Result<()> {
    match asked {
        Convolution::Cudnn => candle_core::bail!(
            "cudnn convolutions are for GPUs: \
             on a CPU model.convolution is auto, direct, winograd or im2col"
        ),
        _ => Ok(()),
    }
}

/// The algorithm that `asked`, which is one of CPUs, means for this geometry and processor: never `auto`.
pub fn resolve(asked: Convolution, geometry: Geometry, filters: usize) -> Convolution {
    match asked {
        Convolution::Direct | Convolution::Im2col | Convolution::Cudnn => asked,
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
        Convolution::Cudnn => unreachable!("`check_on_cpu` refuses it"),
    }
}
