//! The two number types that layers compute with.

use super::simd::{Kernel, Level, run_f32, run_f64};
use crate::worker::gpu::Numbers;
use candle_core::{CpuStorage, FloatDType, Result};
use std::fmt::Debug;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A number of a layer: f32 to train with, f64 to check with.
pub trait Scalar: FloatDType + Numbers + Debug + sealed::Sealed {
    fn square_root(self) -> Self;

    /// `e^self`
    fn exponential(self) -> Self;

    fn hyperbolic_tangent(self) -> Self;

    /// The larger of the two; compiles to one instruction, which `f32::max` does not.
    #[inline(always)]
    fn or_larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    fn from_byte(byte: u8) -> Self;

    /// A whole number from 0 to 255.
    fn to_byte(self) -> u8;

    /// The numbers of a storage that holds this type.
    fn numbers_mut(storage: &mut CpuStorage) -> Result<&mut [Self]>;

    /// Runs a kernel with the registers that `level`, which the processor has, has for these numbers.
    fn run_at<K: Kernel<Self>>(level: Level, kernel: K) -> K::Output;
}

/// Both types do the same, with storage and registers of their own.
macro_rules! scalar {
    ($number:ident, $storage:ident, $run:ident) => {
        impl Scalar for $number {
            #[inline(always)]
            fn square_root(self) -> Self {
                self.sqrt()
            }

            fn exponential(self) -> Self {
                self.exp()
            }

            fn hyperbolic_tangent(self) -> Self {
                self.tanh()
            }

            #[inline(always)]
            fn from_byte(byte: u8) -> Self {
                byte.into()
            }

            #[inline(always)]
            fn to_byte(self) -> u8 {
                self as u8
            }

            fn numbers_mut(storage: &mut CpuStorage) -> Result<&mut [Self]> {
                match storage {
                    CpuStorage::$storage(numbers) => Ok(numbers),
                    _ => candle_core::bail!(concat!(
                        "not all tensors of a layer are ",
                        stringify!($number)
                    )),
                }
            }

            fn run_at<K: Kernel<Self>>(level: Level, kernel: K) -> K::Output {
                $run(level, kernel)
            }
        }
    };
}

scalar!(f32, F32, run_f32);
scalar!(f64, F64, run_f64);
