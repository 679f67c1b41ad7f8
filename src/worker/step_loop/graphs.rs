//! Passes that were captured in CUDA graphs. In: the batch of a step. Out: the graph that trains on it,
//! where there is one. Knows neither clocks' times nor what a pass is made of.
//!
//! A graph has the addresses of one batch in it, so there is one for each place that the input hands
//! out: one for a resident batch, two for a pipeline that fills one place while the other is in use.

use crate::worker::clock::Boundaries;
use crate::worker::gpu::Graph;
use crate::worker::input::Batch;
use crate::worker::model::Loss;
use candle_core::{Tensor, TensorId};
use std::collections::HashMap;

/// What forward and backward have left.
#[derive(Clone, Debug)]
pub struct Pass {
    pub loss: Loss,
    /// Of all variables, in name order.
    pub gradients: Vec<Tensor>,
    /// Whether the parameters were updated, too.
    pub updated: bool,
}

/// A pass that was captured.
pub struct Captured {
    pub graph: Graph,
    pub boundaries: Boundaries,
    pub pass: Pass,
}

/// The graphs of one replica.
#[derive(Default)]
pub struct Graphs {
    wanted: bool,
    /// Passes so far that were not captured. In the first one memory is taken and libraries choose their
    /// kernels, which must not be captured.
    passes: u64,
    captured: HashMap<[TensorId; 2], Captured>,
    replays: u64,
}

impl Graphs {
    pub fn new(wanted: bool) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// Whether the pass that comes next may be captured.
    pub fn captures(&self) -> bool {
        self.wanted && self.passes > 0
    }

    /// Notes a pass whose parts were put on the queue one by one.
    pub fn note_pass(&mut self) {
        self.passes += 1;
    }

    pub fn of(&mut self, batch: &Batch) -> Option<&Captured> {
        let captured = self.captured.get(&key(batch))?;
        self.replays += 1;
        Some(captured)
    }

    pub fn keep(&mut self, batch: &Batch, captured: Captured) {
        self.captured.insert(key(batch), captured);
    }

    /// How often a graph was put on the queue so far.
    pub fn replays(&self) -> u64 {
        self.replays
    }
}

fn key(batch: &Batch) -> [TensorId; 2] {
    [batch.inputs.id(), batch.targets.id()]
}
