//! Replicas of one process that share one set of variables: gradients are averaged on the host,
//! there is one update, and every replica reads the same variables, as in the multi-GPU script of
//! TensorFlow's CIFAR-10 tutorial. Each member averages and updates its own share of the elements.
//! A group of one is a replica on its own: topologies `single` and `independent`.
//!
//! Between averaging and update the first member takes the means to other processes, where a topology
//! has some: see [`Exchange`].

use super::{Exchange, UpdatedBy};
use crate::protocol::LinkReport;
use crate::spec::settings::Settings;
use crate::terms::Phase;
use crate::worker::clock::StepClock;
use crate::worker::optimizer::{Config, Optimizer};
use crate::worker::parameters::{Memory, Parameters, Piece, values};
use anyhow::Result;
use candle_core::Tensor;
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, OnceLock};

/// Elements that one task averages: large enough to hide what a task costs, small enough for L1.
const CHUNK: usize = 8192;

/// One member of a group of replicas.
pub struct Member {
    group: Arc<Group>,
    number: usize,
    /// The share of the parameters that this member averages and updates.
    pieces: Vec<Piece>,
    /// None where servers update the parameters.
    optimizer: Option<Optimizer>,
    /// Of the first member alone.
    exchange: Option<Box<dyn Exchange>>,
    steps: u64,
    exchanged_bytes: u64,
}

struct Group {
    parameters: Arc<Parameters>,
    /// Gradients of each member's present step; empty outside an update.
    gradients: Vec<Mutex<Vec<Tensor>>>,
    /// The mean gradient of each variable; none in a group of one.
    means: Vec<Means>,
    barrier: Barrier,
    /// Who updates the parameters, where other processes take part in it.
    updated_by: OnceLock<UpdatedBy>,
    /// As the first member's exchange knows it.
    global_step: AtomicU64,
}

/// Numbers that members write in turns: their own pieces, then the first member all of them.
struct Means {
    memory: Memory,
    _numbers: Vec<f32>,
}

/// Makes all members of a group of `size` replicas that train `parameters`.
pub fn form(settings: &Settings, parameters: &Arc<Parameters>, size: usize) -> Vec<Member> {
    let lengths = parameters.memory().iter().map(Memory::len);
    let group = Arc::new(Group {
        parameters: parameters.clone(),
        gradients: (0..size).map(|_| Mutex::default()).collect(),
        means: lengths.filter(|_| size > 1).map(Means::zeros).collect(),
        barrier: Barrier::new(size),
        updated_by: OnceLock::new(),
        global_step: AtomicU64::new(0),
    });
    (0..size)
        .map(|number| Member::new(settings, group.clone(), number))
        .collect()
}

/// Lets the members of a group exchange with other processes, before any of them runs.
pub fn join(members: &mut [&mut Member], exchange: Box<dyn Exchange>) {
    let Some(first) = members.first_mut() else {
        return;
    };
    let by = exchange.updated_by();
    let fresh = first.group.updated_by.set(by).is_ok();
    assert!(fresh, "a group joins other processes once");
    first.exchange = Some(exchange);
    if by == UpdatedBy::Servers {
        members
            .iter_mut()
            .for_each(|member| member.optimizer = None);
    }
}

impl Means {
    fn zeros(length: usize) -> Self {
        let mut numbers = vec![0.0; length];
        Self {
            memory: Memory::of_slice(&mut numbers),
            _numbers: numbers,
        }
    }
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
        Self {
            group,
            number,
            pieces,
            optimizer: Some(optimizer),
            exchange: None,
            steps: 0,
            exchanged_bytes: 0,
        }
    }

    fn alone(&self) -> bool {
        self.group.gradients.len() == 1
    }

    /// Does `work` with the parameters and the exchange, on the first member; the others wait.
    fn first_does(
        &mut self,
        work: impl FnOnce(&mut dyn Exchange, &Parameters) -> Result<()>,
    ) -> Result<()> {
        if let Some(exchange) = &mut self.exchange {
            work(&mut **exchange, &self.group.parameters)?;
            let step = exchange.global_step().unwrap_or_default();
            self.group.global_step.store(step, Ordering::Relaxed);
        }
        if !self.alone() {
            self.group.barrier.wait();
        }
        Ok(())
    }

    /// Averages this member's pieces over the gradients of all members, always in member order so
    /// that the result does not depend on timing.
    fn average(&mut self) -> Result<()> {
        let scale = 1.0 / self.group.gradients.len() as f32;
        for (index, published) in self.group.gradients.iter().enumerate() {
            let published = lock(published).clone();
            for piece in &self.pieces {
                let gradient = values(&published[piece.variable])?;
                let means = self.group.means[piece.variable].memory;
                // SAFETY: shares of members are disjoint, and all members are between the same two
                // barriers.
                let mean = unsafe { means.slice_mut(piece.elements.clone()) };
                accumulate(mean, &gradient[piece.elements.clone()], scale, index == 0);
                if index != self.number {
                    self.exchanged_bytes += 4 * mean.len() as u64;
                }
            }
        }
        Ok(())
    }

    /// Updates this member's pieces by the gradient of each variable.
    ///
    /// # Safety
    /// Nobody writes the gradients, and no forward pass runs.
    unsafe fn apply(&mut self, gradients: &[Memory]) {
        let Some(optimizer) = &mut self.optimizer else {
            return;
        };
        let parameters = &self.group.parameters;
        // SAFETY: shares of members are disjoint; the rest is the caller's promise.
        let part = |piece: &Piece| unsafe {
            (
                parameters.piece_mut(piece),
                gradients[piece.variable].slice(piece.elements.clone()),
            )
        };
        optimizer.step(self.pieces.iter().map(part).collect());
    }

    /// With nobody of this process to average with, gradients are used where they lie.
    fn update_alone(&mut self, gradients: &[Tensor], clock: &mut StepClock) -> Result<()> {
        let memory = gradients
            .iter()
            .map(Memory::of)
            .collect::<candle_core::Result<Vec<_>>>()?;
        // SAFETY: the tape that owns the gradients does not run before this returns, and the only
        // replica of these parameters is here.
        unsafe {
            if let Some(exchange) = &mut self.exchange {
                exchange.exchange(&memory, clock)?;
            }
            self.apply(&memory);
        }
        clock.book(Phase::Apply);
        Ok(())
    }

    fn update_together(&mut self, gradients: Vec<Tensor>, clock: &mut StepClock) -> Result<()> {
        *lock(&self.group.gradients[self.number]) = gradients;
        self.group.barrier.wait();
        self.average()?;
        clock.book(Phase::Exchange);
        let means: Vec<Memory> = self.group.means.iter().map(|means| means.memory).collect();
        if self.group.updated_by.get().is_some() {
            self.group.barrier.wait();
            clock.book(Phase::Exchange);
            // SAFETY: the other members wait for the first one, which has the exchange.
            self.first_does(|exchange, _| unsafe { exchange.exchange(&means, clock) })?;
            clock.book(Phase::Wait);
        }
        // SAFETY: each member has written its own share of the means, which alone it reads, or the
        // first one all of them before the barrier; no member is in a forward pass.
        unsafe { self.apply(&means) };
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

/// What the step loop calls, in this order.
impl Member {
    /// Brings the parameters up to date before a forward pass. Books `pull` and `wait`.
    pub fn begin(&mut self, clock: &mut StepClock) -> Result<()> {
        if self.group.updated_by.get() != Some(&UpdatedBy::Servers) {
            return Ok(());
        }
        self.first_does(|exchange, parameters| exchange.begin(parameters, clock))?;
        clock.book(Phase::Wait);
        Ok(())
    }

    /// Whether gradients may leave while the backward pass goes on: those of the only replica.
    pub fn takes_offers(&self) -> bool {
        self.exchange.is_some() && self.alone()
    }

    /// The gradient of one variable, by its place in name order, is final: no later part of the
    /// backward pass writes it, and it may leave.
    pub fn offer(
        &mut self,
        variable: usize,
        gradient: &Tensor,
        clock: &mut StepClock,
    ) -> Result<()> {
        match &mut self.exchange {
            // SAFETY: a tape offers a gradient when no call of its pass writes it any more.
            Some(exchange) => unsafe { exchange.offer(variable, Memory::of(gradient)?, clock) },
            None => Ok(()),
        }
    }

    /// Turns the gradients of this replica's batch, in name order, into the next parameters, and
    /// returns when this replica has no more to do with them. Books `exchange`, `push`, `wait` and
    /// `apply`.
    pub fn update(&mut self, gradients: Vec<Tensor>, clock: &mut StepClock) -> Result<()> {
        self.steps += 1;
        if self.alone() {
            self.update_alone(&gradients, clock)
        } else {
            self.update_together(gradients, clock)
        }
    }

    /// Whether an update only puts work on the queue of this replica's GPU, and waits for nobody.
    pub fn is_queued(&self) -> bool {
        false
    }

    /// Notes a step whose update was done without [`Member::update`], by a graph that has it in it.
    pub fn note_step(&mut self) {
        self.steps += 1;
    }

    /// After the last step, off the clock: the parameters become those after all updates.
    pub fn finish(&mut self) -> Result<()> {
        self.first_does(|exchange, parameters| exchange.finish(parameters))
    }

    /// Updates of the parameters so far, over all workers, as far as this replica knows.
    pub fn global_step(&self) -> u64 {
        match self.group.updated_by.get() {
            Some(UpdatedBy::Servers) => self.group.global_step.load(Ordering::Relaxed),
            _ => self.steps,
        }
    }

    /// Bytes of gradients and parameters that have crossed to this replica from others so far, and
    /// between its worker and other processes.
    pub fn exchanged_bytes(&self) -> u64 {
        let links = self.links();
        let outside = links
            .iter()
            .map(|link| link.pulled_bytes + link.pushed_bytes);
        self.exchanged_bytes + outside.sum::<u64>()
    }

    /// What has crossed to and from other processes so far; empty but for the first replica.
    pub fn links(&self) -> Vec<LinkReport> {
        let exchange = self.exchange.as_ref();
        exchange
            .map(|exchange| exchange.links())
            .unwrap_or_default()
    }
}
