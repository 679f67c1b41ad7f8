//! Convolutions of a program that was built without cuDNN: there is none.

use super::super::{Gpu, Numbers, Span};
use super::{Order, Sizes, Target};
use candle_core::Result;
use std::convert::Infallible;
use std::marker::PhantomData;

/// No handle.
#[derive(Debug, Default)]
pub struct Handle;

/// No plan.
#[derive(Debug)]
pub struct Plan<T>(Infallible, PhantomData<T>);

impl<T: Numbers> Plan<T> {
    /// # Errors
    /// Always: cuDNN is missing.
    pub fn find(_: &Gpu, _: Sizes, _: Target) -> Result<Self> {
        candle_core::bail!("this program was built without the feature `cudnn`")
    }

    pub fn order(&self) -> Order {
        match self.0 {}
    }

    pub fn run(&self, _: &Gpu, _: [Span<T>; 3]) -> Result<()> {
        match self.0 {}
    }
}
