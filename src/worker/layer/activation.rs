//! What follows the weights of a layer, fused into it.

mod on_gpu;
pub(super) mod rows;

/// What is applied to each number that a layer with weights gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Identity,
    /// `max(0, x)`, with gradient 0 at 0.
    Relu,
}
