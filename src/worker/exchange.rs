//! What happens between backward and the next forward. A topology is one implementation of
//! [`Exchange`]; none has a step loop of its own.

pub mod group;

use super::clock::StepClock;
use anyhow::Result;
use candle_core::Tensor;

/// One replica's end of a topology.
pub trait Exchange: Send {
    /// Turns the gradients of this replica's batch, in name order, into the next parameters, and
    /// returns when they may be read. Books `exchange` and `apply`.
    fn update(&mut self, gradients: Vec<Tensor>, clock: &mut StepClock) -> Result<()>;

    /// Bytes of gradients and parameters that have crossed to this replica from others so far.
    fn exchanged_bytes(&self) -> u64;
}
