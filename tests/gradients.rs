//! Gradients of every layer: in f64 against central differences and candle, and in f32 against f64.

#[path = "gradients/candle.rs"]
mod candle;
#[path = "gradients/differences.rs"]
mod differences;
#[path = "gradients/layers.rs"]
mod layers;
#[path = "gradients/network.rs"]
mod network;
#[path = "gradients/operations.rs"]
mod operations;
#[path = "gradients/precision.rs"]
mod precision;
#[path = "gradients/sequence.rs"]
mod sequence;
#[path = "gradients/tape.rs"]
mod tape;
