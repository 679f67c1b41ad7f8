//! A convolutional LSTM cell (Shi et al. 2015, without peepholes), as small operations.
//!
//! ```text
//! i, j, f, o = w * [x, h] + b      one convolution, four gates of as many channels
//! c' = σ(f) · c + σ(i) · tanh(j)
//! h' = σ(o) · tanh(c')
//! ```
//!
//! TensorFlow's cell adds 1 to `f`; here the biases of that gate begin with 1, which is the same
//! function with the same updates.

use super::super::variables::Variables;
use super::KERNEL;
use crate::terms::Convolution;
use crate::worker::layer::{Activation, Conv, Layer, Tape, channels, pointwise};
use candle_core::{Result, Tensor};

/// Which quarter of the convolution's channels a gate has: TensorFlow's order.
#[derive(Clone, Copy)]
enum Gate {
    Input,
    Candidate,
    Forget,
    Output,
}

const GATES: usize = 4;

/// A cell with its variables, the same for all steps of a sequence.
pub struct Cell {
    pub gates: Conv,
    channels: usize,
}

/// What a cell hands from step to step, each `(batch, height, width, channels)`.
pub struct State {
    pub hidden: Tensor,
    memory: Tensor,
}

impl Cell {
    /// A cell whose inputs and states have `channels` each.
    pub fn new(variables: &mut Variables, name: &str, channels: usize) -> Result<Self> {
        let filters = GATES * channels;
        let shape = (KERNEL, KERNEL, 2 * channels, filters);
        let weights = variables.xavier_uniform_filters(&format!("{name}/weights"), shape)?;
        let biases = variables.each(&format!("{name}/biases"), filters, |filter| {
            f64::from(filter / channels == Gate::Forget as usize)
        })?;
        Ok(Self {
            gates: Conv::new(weights, biases, KERNEL / 2, Activation::Identity),
            channels,
        })
    }

    /// The same cell, its convolution computed in another way.
    pub fn by(self, algorithm: Convolution) -> Self {
        let gates = self.gates.by(algorithm);
        Self { gates, ..self }
    }

    /// The state before the first input, which is like `x`: zeros.
    pub fn start(tape: &mut Tape, x: &Tensor) -> Result<State> {
        let zeros = tape.constant(0.0, x)?;
        Ok(State {
            hidden: zeros.clone(),
            memory: zeros,
        })
    }

    /// The state after `x`.
    pub fn step(&self, tape: &mut Tape, x: &Tensor, state: &State) -> Result<State> {
        let joined = channels::concatenate(tape, x, &state.hidden)?;
        let gates = self.gates.forward(tape, &joined)?;
        let gate = |tape: &mut Tape, gate: Gate| {
            let first = gate as usize * self.channels;
            channels::select(tape, &gates, first..first + self.channels)
        };
        let open = |tape: &mut Tape, which: Gate| {
            let gate = gate(tape, which)?;
            pointwise::sigmoid(tape, &gate)
        };
        let input = open(tape, Gate::Input)?;
        let candidate = gate(tape, Gate::Candidate)?;
        let candidate = pointwise::tanh(tape, &candidate)?;
        let forget = open(tape, Gate::Forget)?;
        let kept = pointwise::product(tape, &forget, &state.memory)?;
        let new = pointwise::product(tape, &input, &candidate)?;
        let memory = pointwise::sum(tape, &kept, &new)?;
        let output = open(tape, Gate::Output)?;
        let squashed = pointwise::tanh(tape, &memory)?;
        let hidden = pointwise::product(tape, &output, &squashed)?;
        Ok(State { hidden, memory })
    }
}
