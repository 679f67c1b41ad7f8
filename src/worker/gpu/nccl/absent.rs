//! A program that was built without NCCL: there is no rank.

use super::super::{Gpu, Span};
use super::NOT_BUILT_IN;
use candle_core::Result;
use std::convert::Infallible;
use std::fmt;

/// No identity of ranks.
#[derive(Clone, Debug)]
pub struct Id(Infallible);

/// No rank.
#[derive(Debug)]
pub struct Rank(Infallible);

impl Id {
    /// # Errors
    /// Always: see [`NOT_BUILT_IN`].
    pub fn new() -> Result<Self> {
        candle_core::bail!("{NOT_BUILT_IN}")
    }

    /// # Errors
    /// Always: see [`NOT_BUILT_IN`].
    pub fn parse(_: &str) -> Result<Self> {
        candle_core::bail!("{NOT_BUILT_IN}")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl Rank {
    /// # Errors
    /// Cannot be called: there is no identity.
    pub fn join(_: &[Gpu], _: usize, _: usize, id: &Id) -> Result<Vec<Self>> {
        match id.0 {}
    }

    pub fn ranks(&self) -> usize {
        match self.0 {}
    }

    pub fn sum(&self, _: &Gpu, _: &[Span<f32>]) -> Result<()> {
        match self.0 {}
    }
}
