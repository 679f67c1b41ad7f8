//! Updates. In: weights and the mean gradient of one step, in pieces. Out: the weights in place.
//! Knows neither tensors nor how the mean was made, so that replicas can share an update by pieces.

use crate::spec::settings::Settings;
use crate::terms::{ModelName, OptimizerName};
use rayon::prelude::*;
use update::{Chunk, Update};

mod on_gpu;
mod update;

pub use on_gpu::{GpuMean, GpuOptimizer};

/// How weights follow gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    pub rule: OptimizerName,
    pub learning_rate: f64,
    pub decay: Option<Staircase>,
    /// Whether the optimizer keeps exponential averages of the weights.
    pub averages: bool,
}

/// A learning rate that is multiplied by `factor` after each `steps` steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Staircase {
    pub steps: u64,
    pub factor: f64,
}

impl Config {
    /// As the settings say. Schedule and averages of `cifar10` are those of its tutorial: 350
    /// epochs of 50,000 examples in batches of 128, whatever the number of replicas.
    pub fn of(settings: &Settings) -> Self {
        let tutorial = settings.model == ModelName::Cifar10;
        Self {
            rule: settings.optimizer,
            learning_rate: settings.learning_rate,
            decay: tutorial.then_some(Staircase {
                steps: 136_718,
                factor: 0.1,
            }),
            averages: tutorial,
        }
    }
}

/// Numbers that one thread updates at a time: all arrays of a chunk stay in its cache.
const CHUNK: usize = 1 << 13;

/// What an update rule keeps between steps for some pieces of the parameters.
#[derive(Clone, Debug)]
pub struct Optimizer {
    config: Config,
    steps: u64,
    parts: Vec<State>,
}

/// Arrays as long as the weights of one piece, or empty where the rule needs none.
#[derive(Clone, Debug)]
struct State {
    length: usize,
    mean: Vec<f32>,
    square: Vec<f32>,
    average: Vec<f32>,
}

impl Optimizer {
    /// State for pieces with these initial weights.
    pub fn new(config: Config, parts: &[&[f32]]) -> Self {
        let state = |weights: &&[f32]| {
            let moments = match config.rule {
                OptimizerName::Sgd => 0,
                OptimizerName::Adam => weights.len(),
            };
            State {
                length: weights.len(),
                mean: vec![0.0; moments],
                square: vec![0.0; moments],
                average: if config.averages {
                    weights.to_vec()
                } else {
                    Vec::new()
                },
            }
        };
        Self {
            config,
            steps: 0,
            parts: parts.iter().map(state).collect(),
        }
    }

    /// Updates the weights of each piece, in the order of `new`, by the mean gradient of a step.
    /// Panics where pieces differ in number or length from those.
    pub fn step(&mut self, parts: Vec<(&mut [f32], &[f32])>) {
        assert_eq!(parts.len(), self.parts.len(), "another number of pieces");
        let update = Update::of(&self.config, self.steps);
        self.steps += 1;
        let chunks: Vec<Chunk> = self
            .parts
            .iter_mut()
            .zip(parts)
            .flat_map(|(state, (weights, gradient))| state.chunks(weights, gradient))
            .collect();
        chunks.into_par_iter().for_each(|chunk| update.apply(chunk));
    }

    /// Updates the weights of the only piece by the mean of `gradients`, added in their order. A mean
    /// exists for a chunk at a time, in the cache. Panics like [`Optimizer::step`].
    pub fn step_by_mean(&mut self, weights: &mut [f32], gradients: &[&[f32]]) {
        let (Some(first), [state]) = (gradients.first(), &mut self.parts[..]) else {
            panic!("a mean of gradients for one piece");
        };
        if gradients.len() == 1 {
            return self.step(vec![(weights, first)]);
        }
        let whole = gradients.iter().all(|g| g.len() == state.length);
        assert!(whole, "another number of gradients");
        let update = Update::of(&self.config, self.steps);
        self.steps += 1;
        let scale = 1.0 / gradients.len() as f32;
        let chunks = state.chunks(weights, first).into_par_iter().enumerate();
        chunks.for_each(|(index, chunk)| {
            let mut mean = [0.0; CHUNK];
            let mean = &mut mean[..chunk.weights.len()];
            for gradient in gradients {
                let gradient = &gradient[index * CHUNK..];
                for (mean, gradient) in mean.iter_mut().zip(gradient) {
                    *mean += scale * gradient;
                }
            }
            update.apply(Chunk {
                gradient: mean,
                ..chunk
            });
        });
    }

    /// The exponential average of each piece; empty where none are kept.
    pub fn averages(&self) -> impl Iterator<Item = &[f32]> {
        self.parts.iter().map(|state| state.average.as_slice())
    }
}

impl State {
    fn chunks<'a>(&'a mut self, weights: &'a mut [f32], gradient: &'a [f32]) -> Vec<Chunk<'a>> {
        assert_eq!(weights.len(), self.length, "another number of weights");
        assert_eq!(gradient.len(), self.length, "another number of gradients");
        let mut mean = self.mean.chunks_mut(CHUNK);
        let mut square = self.square.chunks_mut(CHUNK);
        let mut average = self.average.chunks_mut(CHUNK);
        let pairs = weights.chunks_mut(CHUNK).zip(gradient.chunks(CHUNK));
        pairs
            .map(|(weights, gradient)| Chunk {
                weights,
                gradient,
                mean: mean.next().unwrap_or_default(),
                square: square.next().unwrap_or_default(),
                average: average.next().unwrap_or_default(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
