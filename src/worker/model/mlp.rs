//! Fully connected layers, a rectifier after each, the last one too, and a mean squared error.

use super::variables::Variables;
use super::{Loss, Model};
use crate::worker::input::Batch;
use crate::worker::layer::loss::SquaredError;
use crate::worker::layer::{Activation, Dense, Layer, Tape};
use candle_core::{DType, Result, Var};

/// A network of dense layers. Inputs `(batch, first width)`, targets `(batch, last width)`.
pub struct Mlp {
    layers: Vec<Dense>,
    parameters: Vec<(String, Var)>,
}

impl Mlp {
    /// On the CPU.
    pub fn new(widths: &[usize], seed: u64, dtype: DType) -> Result<Self> {
        Self::of(widths, Variables::new(seed, dtype))
    }

    /// Layers between each two neighbours of `widths`; weights Xavier uniform, biases 0.
    pub fn of(widths: &[usize], mut variables: Variables) -> Result<Self> {
        let mut layers = Vec::new();
        for (i, width) in widths.windows(2).enumerate() {
            let name = format!("layer{:02}", i + 1);
            let weights =
                variables.xavier_uniform(&format!("{name}/weights"), width[0], width[1])?;
            let biases = variables.constant(&format!("{name}/biases"), width[1], 0.0)?;
            layers.push(Dense::new(weights, biases, Activation::Relu));
        }
        Ok(Self {
            layers,
            parameters: variables.in_name_order(),
        })
    }
}

/// Scalars of each variable between these widths, in name order.
pub fn lengths(widths: &[usize]) -> Vec<usize> {
    let layer = |width: &[usize]| [width[1], width[0] * width[1]];
    widths.windows(2).flat_map(layer).collect()
}

impl Model for Mlp {
    /// The mean of `(output − target)²` over all elements.
    fn record(&self, tape: &mut Tape, batch: &Batch) -> Result<Option<Loss>> {
        let mut x = batch.inputs.clone();
        for layer in &self.layers {
            x = layer.forward(tape, &x)?;
        }
        let mean = SquaredError(&batch.targets).forward(tape, &x)?;
        Ok(Some(Loss::of(mean)))
    }

    fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }
}
