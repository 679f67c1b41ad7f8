//! Products of matrices by cuBLAS. In: a [`Gemm`]. Out: work on the queue of candle's device. Knows no
//! layers.

use super::Gemm;
use crate::worker::layer::Scalar;
use candle_core::Result;
use candle_core::cuda_backend::{CudaDevice, cudarc};
use cudarc::cublas::sys as blas;
use std::ffi::{c_int, c_void};

/// What NVIDIA recommends for its largest GPUs, in bytes.
pub const WORKSPACE: usize = 32 << 20;

/// Lets cuBLAS compute in TF32 or not, in a workspace that is given to it.
pub fn prepare(
    cuda: &CudaDevice,
    workspace: &cudarc::driver::CudaSlice<u8>,
    tf32: bool,
) -> Result<()> {
    use cudarc::driver::DevicePtr;
    let mode = match tf32 {
        true => blas::cublasMath_t::CUBLAS_TF32_TENSOR_OP_MATH,
        false => blas::cublasMath_t::CUBLAS_DEFAULT_MATH,
    };
    let stream = cuda.cuda_stream();
    let (address, _used) = workspace.device_ptr(&stream);
    let handle = *cuda.cublas_handle().handle();
    // SAFETY: the workspace lives as long as the handle, in the same `Gpu`.
    unsafe {
        blas::cublasSetMathMode(handle, mode)
            .result()
            .map_err(candle_core::Error::wrap)?;
        blas::cublasSetWorkspace_v2(handle, address as *mut c_void, WORKSPACE)
            .result()
            .map_err(candle_core::Error::wrap)
    }
}

/// Puts a product of matrices on the device's queue. Panics where a matrix is longer than its memory.
pub fn put<T: Scalar>(cuda: &CudaDevice, tf32: bool, product: Gemm<T>) -> Result<()> {
    product.check();
    let transposed = |yes| match yes {
        true => blas::cublasOperation_t::CUBLAS_OP_T,
        false => blas::cublasOperation_t::CUBLAS_OP_N,
    };
    let Gemm {
        rows,
        columns,
        inner,
        a_transposed,
        b_transposed,
        count,
        ..
    } = product;
    let int = |size: usize| c_int::try_from(size).expect("a matrix has fewer than 2^31 rows");
    let number = Number::of::<T>();
    let [alpha, beta] = [product.alpha, product.beta].map(|factor| number.of_factor(factor));
    let long = |rows: usize, columns: usize| (rows * columns) as i64;
    // SAFETY: `check` has seen that the matrices are as long as they say; the handle is this GPU's.
    // cuBLAS knows matrices column by column: it is given the transposed product, bᵀ · aᵀ.
    unsafe {
        cudarc::cublas::result::gemm_strided_batched_ex(
            *cuda.cublas_handle().handle(),
            transposed(b_transposed),
            transposed(a_transposed),
            int(columns),
            int(rows),
            int(inner),
            alpha.address(),
            product.b.address() as *const c_void,
            number.kind(),
            int(if b_transposed { inner } else { columns }),
            long(inner, columns),
            product.a.address() as *const c_void,
            number.kind(),
            int(if a_transposed { rows } else { inner }),
            long(rows, inner),
            beta.address(),
            product.c.address() as *mut c_void,
            number.kind(),
            int(columns),
            long(rows, columns),
            int(count),
            number.compute(tf32),
            blas::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
    }
    .map_err(candle_core::Error::wrap)
}

/// A type of numbers as cuBLAS names it.
#[derive(Clone, Copy, PartialEq)]
enum Number {
    Single,
    Double,
}

/// A factor in the type that a product computes with.
enum Factor {
    Single(f32),
    Double(f64),
}

impl Number {
    fn of<T: Scalar>() -> Self {
        match size_of::<T>() {
            4 => Self::Single,
            _ => Self::Double,
        }
    }

    fn kind(self) -> blas::cudaDataType {
        match self {
            Self::Single => blas::cudaDataType::CUDA_R_32F,
            Self::Double => blas::cudaDataType::CUDA_R_64F,
        }
    }

    fn compute(self, tf32: bool) -> blas::cublasComputeType_t {
        match (self, tf32) {
            (Self::Single, true) => blas::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            (Self::Single, false) => blas::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            (Self::Double, _) => blas::cublasComputeType_t::CUBLAS_COMPUTE_64F,
        }
    }

    fn of_factor(self, factor: f64) -> Factor {
        match self {
            Self::Single => Factor::Single(factor as f32),
            Self::Double => Factor::Double(factor),
        }
    }
}

impl Factor {
    fn address(&self) -> *const c_void {
        match self {
            Self::Single(number) => std::ptr::from_ref(number).cast(),
            Self::Double(number) => std::ptr::from_ref(number).cast(),
        }
    }
}
