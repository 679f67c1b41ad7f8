//! The two number types that layers compute with.

use super::simd::{Kernel, Level, run_f32, run_f64};
use candle_core::{CpuStorage, FloatDType, Result};
use std::fmt::Debug;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A number of a layer: f32 to train with, f64 to check with.
pub trait Scalar: FloatDType + Debug + Default + sealed::Sealed {
    fn square_root(self) -> Self;

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

impl Scalar for f32 {
    #[inline(always)]
    fn square_root(self) -> Self {
        self.sqrt()
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
            CpuStorage::F32(numbers) => Ok(numbers),
            _ => candle_core::bail!("not all tensors of a layer are f32"),
        }
    }

    fn run_at<K: Kernel<Self>>(level: Level, kernel: K) -> K::Output {
        run_f32(level, kernel)
    }
}

impl Scalar for f64 {
    #[inline(always)]
    fn square_root(self) -> Self {
        self.sqrt()
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
            CpuStorage::F64(numbers) => Ok(numbers),
            _ => candle_core::bail!("not all tensors of a layer are f64"),
        }
    }

    fn run_at<K: Kernel<Self>>(level: Level, kernel: K) -> K::Output {
        run_f64(level, kernel)
    }
}
