//! Updates on a GPU: one kernel over all variables. In: where weights and gradients are. Out: work on the
//! main queue. All that changes from step to step, the number of steps too, is in the memory of the GPU, so
//! that a step that was captured in a graph goes on when it is replayed.

mod mean;
mod table;

pub use mean::GpuMean;

use super::Config;
use crate::terms::OptimizerName;
use crate::worker::gpu::{Arg, Buffer, Gpu, Span};
use candle_core::Result;
use table::{Blocks, Table};

/// What an update rule keeps between steps for the variables of a replica on a GPU.
#[derive(Debug)]
pub struct GpuOptimizer {
    gpu: Gpu,
    config: Config,
    parts: Vec<Part>,
    blocks: Blocks,
    /// `UpdatePart` of each variable.
    table: Table,
    /// `UpdateState`.
    state: Table,
}

/// Weights, and arrays as long as they are; empty ones where the rule needs none.
#[derive(Debug)]
struct Part {
    weights: Span<f32>,
    mean: Buffer<f32>,
    square: Buffer<f32>,
    average: Buffer<f32>,
}

impl GpuOptimizer {
    /// State for variables with these weights, whose values are those of before the first step.
    pub fn new(config: Config, gpu: &Gpu, weights: &[Span<f32>]) -> Result<Self> {
        let parts = weights
            .iter()
            .map(|weights| Part::new(config, gpu, *weights));
        let lengths: Vec<usize> = weights.iter().map(|weights| weights.len()).collect();
        let mut state = Table::new(gpu, 5)?;
        let one = 1f64.to_bits();
        state.set(&[0, one, one, one, 0])?;
        Ok(Self {
            gpu: gpu.clone(),
            config,
            parts: parts.collect::<Result<_>>()?,
            blocks: Blocks::new(gpu, &lengths)?,
            table: Table::new(gpu, Part::WORDS * weights.len())?,
            state,
        })
    }

    /// Updates all weights by `scale` times these gradients, in the order of `new`. Gradients of a step
    /// that is captured lie where those of the step before did. Panics where they differ in number or
    /// length from the weights.
    pub fn step(&mut self, gradients: &[Span<f32>], scale: f32) -> Result<()> {
        assert_eq!(
            gradients.len(),
            self.parts.len(),
            "another number of variables"
        );
        let parts = self.parts.iter().zip(gradients);
        let words: Vec<u64> = parts
            .flat_map(|(part, gradient)| part.words(*gradient))
            .collect();
        let table = self.table.set(&words)?;
        let Some(launch) = self.blocks.launch() else {
            return Ok(());
        };
        let stairs = self.config.decay;
        let args = [
            table.into(),
            self.blocks.span().into(),
            self.state.span().into(),
            Arg::F64(self.config.learning_rate),
            Arg::F64(stairs.map_or(1.0, |stairs| stairs.factor)),
            Arg::U64(stairs.map_or(0, |stairs| stairs.steps)),
            Arg::F32(scale),
        ];
        self.gpu.launch::<f32>(self.kernel(), launch, &args)
    }

    fn kernel(&self) -> &'static str {
        match (self.config.rule, self.config.averages) {
            (OptimizerName::Sgd, false) => "update_sgd",
            (OptimizerName::Sgd, true) => "update_sgd_averaged",
            (OptimizerName::Adam, false) => "update_adam",
            (OptimizerName::Adam, true) => "update_adam_averaged",
        }
    }

    /// The exponential average of each variable; empty where none are kept.
    pub fn averages(&self) -> impl Iterator<Item = Span<f32>> {
        self.parts.iter().map(|part| part.average.span())
    }
}

impl Part {
    /// Of its line in the table.
    const WORDS: usize = 6;

    fn new(config: Config, gpu: &Gpu, weights: Span<f32>) -> Result<Self> {
        let mut part = Self {
            weights,
            mean: Buffer::default(),
            square: Buffer::default(),
            average: Buffer::default(),
        };
        if config.rule == OptimizerName::Adam {
            gpu.zero(part.mean.at_least(gpu, weights.len())?)?;
            gpu.zero(part.square.at_least(gpu, weights.len())?)?;
        }
        if config.averages {
            gpu.copy(weights, part.average.at_least(gpu, weights.len())?)?;
        }
        Ok(part)
    }

    fn words(&self, gradient: Span<f32>) -> [u64; Self::WORDS] {
        let length = self.weights.len();
        assert_eq!(gradient.len(), length, "another number of gradients");
        [
            self.weights.address(),
            gradient.address(),
            self.mean.span().address(),
            self.square.span().address(),
            self.average.span().address(),
            length as u64,
        ]
    }
}
