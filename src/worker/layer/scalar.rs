//! The two number types that layers compute with.

use candle_core::FloatDType;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A number of a layer: f32 to train with, f64 to check with.
pub trait Scalar: FloatDType + Default + sealed::Sealed {
    fn square_root(self) -> Self;

    /// The larger of the two; compiles to one instruction, which `f32::max` does not.
    fn or_larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
}

impl Scalar for f32 {
    fn square_root(self) -> Self {
        self.sqrt()
    }
}

impl Scalar for f64 {
    fn square_root(self) -> Self {
        self.sqrt()
    }
}
