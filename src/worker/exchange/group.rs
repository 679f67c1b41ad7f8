//! Replicas of one process that share one set of variables: gradients are averaged on the host,
//! there is one update, and every replica reads the same variables, as in the multi-GPU script of
//! TensorFlow's CIFAR-10 tutorial. Each member averages and updates its own share of the elements.
//! A group of one is a replica on its own: topologies `single` and `independent`.

use super::Exchange;
use crate::spec::settings::Settings;
use crate::terms::Phase;
use crate::worker::clock::StepClock;
use crate::worker::optimizer::{Config, Optimizer};
use crate::worker::parameters::{Parameters, Piece, values};
use anyhow::Result;
use candle_core::Tensor;
use rayon::prelude::*;
use std::sync::{Arc, Barrier, Mutex, MutexGuard};

/// Elements that one task averages: large enough to hide what a task costs, small enough for L1.
const CHUNK: usize = 8192;

/// One member of a group of replicas.
pub struct Member {
    group: Arc<Group>,
    number: usize,
    /// The share of the parameters that this member updates.
    pieces: Vec<Piece>,
    optimizer: Optimizer,
    /// Mean gradient of each piece.
    means: Vec<Vec<f32>>,
    exchanged_bytes: u64,
}

struct Group {
    parameters: Arc<Parameters>,
    /// Gradients of each member's present step; empty outside an update.
    gradients: Vec<Mutex<Vec<Tensor>>>,
    barrier: Barrier,
}

/// Makes all members of a group of `size` replicas that train `parameters`.
pub fn form(settings: &Settings, parameters: &Arc<Parameters>, size: usize) -> Vec<Member> {
    let group = Arc::new(Group {
        parameters: parameters.clone(),
        gradients: (0..size).map(|_| Mutex::default()).collect(),
        barrier: Barrier::new(size),
    });
    (0..size)
        .map(|number| Member::new(settings, group.clone(), number))
        .collect()
}

impl Member {
    fn new(settings: &Settings, group: Arc<Group>, number: usize) -> Self {
        let pieces = group.parameters.share(number, group.gradients.len());
        // SAFETY: no replica of the group runs before all members exist.
        let weights: Vec<&[f32]> = pieces
            .iter()
            .map(|piece| unsafe { &*group.parameters.piece_mut(piece) })
            .collect();
        let optimizer = Optimizer::new(Config::of(settings), &weights);
        let means = pieces
            .iter()
            .map(|piece| vec![0.0; piece.elements.len()])
            .collect();
        Self {
            group,
            number,
            pieces,
            optimizer,
            means,
            exchanged_bytes: 0,
        }
    }

    /// Averages this member's pieces over the gradients of all members, always in member order so
    /// that the result does not depend on timing.
    fn average(&mut self) -> Result<()> {
        let scale = 1.0 / self.group.gradients.len() as f32;
        for (index, published) in self.group.gradients.iter().enumerate() {
            let published = lock(published).clone();
            for (piece, mean) in self.pieces.iter().zip(&mut self.means) {
                let gradient = values(&published[piece.variable])?;
                accumulate(mean, &gradient[piece.elements.clone()], scale, index == 0);
                if index != self.number {
                    self.exchanged_bytes += 4 * mean.len() as u64;
                }
            }
        }
        Ok(())
    }

    /// Updates this member's pieces from `means`, one slice a piece.
    fn apply(&mut self, means: &[&[f32]]) {
        let parameters = &self.group.parameters;
        let weights = self.pieces.iter().map(|piece| {
            // SAFETY: shares of members are disjoint, and all members are between the two barriers
            // of `update`, or there is but one member. So no forward pass runs.
            unsafe { parameters.piece_mut(piece) }
        });
        self.optimizer
            .step(weights.zip(means.iter().copied()).collect());
    }

    /// With nobody to average with, the gradients are used where they lie.
    fn update_alone(&mut self, gradients: &[Tensor]) -> Result<()> {
        let gradients = gradients
            .iter()
            .map(values)
            .collect::<candle_core::Result<Vec<_>>>()?;
        self.apply(
            &gradients
                .iter()
                .map(|values| &values[..])
                .collect::<Vec<_>>(),
        );
        Ok(())
    }

    fn update_together(&mut self, gradients: Vec<Tensor>, clock: &mut StepClock) -> Result<()> {
        *lock(&self.group.gradients[self.number]) = gradients;
        self.group.barrier.wait();
        self.average()?;
        clock.book(Phase::Exchange);
        let means = std::mem::take(&mut self.means);
        self.apply(&means.iter().map(Vec::as_slice).collect::<Vec<_>>());
        self.means = means;
        clock.book(Phase::Apply);
        self.group.barrier.wait();
        lock(&self.group.gradients[self.number]).clear();
        clock.book(Phase::Exchange);
        Ok(())
    }
}

fn lock(gradients: &Mutex<Vec<Tensor>>) -> MutexGuard<'_, Vec<Tensor>> {
    gradients
        .lock()
        .expect("no member panics while it holds this lock")
}

/// `mean += scale · gradient`, or `=` for the first gradient.
fn accumulate(mean: &mut [f32], gradient: &[f32], scale: f32, first: bool) {
    mean.par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .for_each(|(mean, gradient)| {
            for (mean, gradient) in mean.iter_mut().zip(gradient) {
                *mean = if first { 0.0 } else { *mean } + scale * gradient;
            }
        });
}

impl Exchange for Member {
    fn update(&mut self, gradients: Vec<Tensor>, clock: &mut StepClock) -> Result<()> {
        if self.group.gradients.len() > 1 {
            return self.update_together(gradients, clock);
        }
        self.update_alone(&gradients)?;
        clock.book(Phase::Apply);
        Ok(())
    }

    fn exchanged_bytes(&self) -> u64 {
        self.exchanged_bytes
    }
}
