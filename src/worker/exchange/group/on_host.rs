//! Members whose gradients lie in the host's memory, and whose parameters are updated there. In: where
//! the gradients of one replica lie. Out: the next parameters, in one set of memory for all members.
//! Each member averages and updates its own share of the elements. Does not know whether the memory
//! belongs to tensors, or to the mirrors of a GPU's.
//!
//! Between averaging and update the first member takes the means to other processes, where a topology
//! has some: see [`Exchange`].

use super::means::Means;
use crate::protocol::LinkReport;
use crate::terms::Phase;
use crate::worker::clock::StepClock;
use crate::worker::exchange::{Exchange, UpdatedBy};
use crate::worker::optimizer::{Config, Optimizer};
use crate::worker::parameters::{Memory, Parameters, Piece};
use anyhow::Result;
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, OnceLock};

/// Elements that one task averages: large enough to hide what a task costs, small enough for L1.
const CHUNK: usize = 8192;

/// One member of a group of replicas.
pub struct HostMember {
    group: Arc<Group>,
    number: usize,
    /// The share of the parameters that this member averages and updates.
    pieces: Vec<Piece>,
    /// None where servers update the parameters, or the replica's GPU does.
    optimizer: Option<Optimizer>,
    /// Of the first member alone.
    exchange: Option<Box<dyn Exchange>>,
    averaged_bytes: u64,
}

struct Group {
    parameters: Arc<Parameters>,
    /// Where the gradients of each member's present step lie; empty outside an update.
    gradients: Vec<Mutex<Vec<Memory>>>,
    means: Means,
    barrier: Barrier,
    /// Who updates the parameters, where other processes take part in it.
    updated_by: OnceLock<UpdatedBy>,
    /// As the first member's exchange knows it.
    global_step: AtomicU64,
}

/// Makes all members of a group of `size` replicas that train `parameters`. With an optimizer each updates
/// its share of them; without one somebody else does.
pub fn form(
    optimizer: Option<Config>,
    parameters: &Arc<Parameters>,
    size: usize,
    means: Means,
) -> Vec<HostMember> {
    let group = Arc::new(Group {
        parameters: parameters.clone(),
        gradients: (0..size).map(|_| Mutex::default()).collect(),
        means,
        barrier: Barrier::new(size),
        updated_by: OnceLock::new(),
        global_step: AtomicU64::new(0),
    });
    (0..size)
        .map(|number| HostMember::new(optimizer, group.clone(), number))
        .collect()
}

/// Lets the members of a group exchange with other processes, before any of them runs.
pub fn join(members: &mut [&mut HostMember], exchange: Box<dyn Exchange>) {
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

impl HostMember {
    fn new(optimizer: Option<Config>, group: Arc<Group>, number: usize) -> Self {
        let pieces = group.parameters.share(number, group.gradients.len());
        // SAFETY: no replica of the group runs before all members exist.
        let weights: Vec<&[f32]> = pieces
            .iter()
            .map(|piece| unsafe { &*group.parameters.piece_mut(piece) })
            .collect();
        let optimizer = optimizer.map(|config| Optimizer::new(config, &weights));
        Self {
            group,
            number,
            pieces,
            optimizer,
            exchange: None,
            averaged_bytes: 0,
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
        self.meet();
        Ok(())
    }

    /// Averages this member's pieces over the gradients of all members, always in member order so
    /// that the result does not depend on timing.
    fn average(&mut self) {
        let scale = 1.0 / self.group.gradients.len() as f32;
        for (index, published) in self.group.gradients.iter().enumerate() {
            let published = lock(published).clone();
            for piece in &self.pieces {
                // SAFETY: shares of members are disjoint, and all members are between the same two
                // barriers, where nobody writes gradients.
                let (gradient, mean) = unsafe {
                    let gradient = published[piece.variable].slice(piece.elements.clone());
                    let mean = &self.group.means.parts()[piece.variable];
                    (gradient, mean.slice_mut(piece.elements.clone()))
                };
                accumulate(mean, gradient, scale, index == 0);
                if index != self.number {
                    self.averaged_bytes += 4 * mean.len() as u64;
                }
            }
        }
    }

    /// Updates this member's pieces by the gradient of each variable.
    ///
    /// # Safety
    /// Nobody writes the gradients, and no forward pass runs.
    unsafe fn apply(&mut self, gradients: &[Memory], clock: &mut StepClock) {
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
        clock.book(Phase::Apply);
    }

    /// With nobody of this process to average with, gradients are used where they lie.
    ///
    /// # Safety
    /// As [`HostMember::update`].
    unsafe fn update_alone(&mut self, gradients: &[Memory], clock: &mut StepClock) -> Result<()> {
        // SAFETY: as promised; the only replica of these parameters is here.
        unsafe {
            if let Some(exchange) = &mut self.exchange {
                exchange.exchange(gradients, clock)?;
            }
            self.apply(gradients, clock);
        }
        Ok(())
    }

    /// # Safety
    /// As [`HostMember::update`].
    unsafe fn update_together(
        &mut self,
        gradients: &[Memory],
        clock: &mut StepClock,
    ) -> Result<()> {
        *lock(&self.group.gradients[self.number]) = gradients.to_vec();
        self.group.barrier.wait();
        self.average();
        clock.book(Phase::Exchange);
        let means = self.group.means.parts().to_vec();
        if self.group.updated_by.get().is_some() {
            self.group.barrier.wait();
            clock.book(Phase::Exchange);
            // SAFETY: the other members wait for the first one, which has the exchange.
            self.first_does(|exchange, _| unsafe { exchange.exchange(&means, clock) })?;
            clock.book(Phase::Wait);
        }
        // SAFETY: each member has written its own share of the means, which alone it reads, or the
        // first one all of them before the barrier; no member is in a forward pass.
        unsafe { self.apply(&means, clock) };
        self.group.barrier.wait();
        lock(&self.group.gradients[self.number]).clear();
        clock.book(Phase::Exchange);
        Ok(())
    }
}

fn lock(gradients: &Mutex<Vec<Memory>>) -> MutexGuard<'_, Vec<Memory>> {
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

/// What a member is asked for, in this order.
impl HostMember {
    /// Whether servers update the parameters, so that they are pulled.
    pub fn pulls(&self) -> bool {
        self.group.updated_by.get() == Some(&UpdatedBy::Servers)
    }

    /// Brings the parameters up to date before a forward pass. Books `pull` and `wait`.
    pub fn begin(&mut self, clock: &mut StepClock) -> Result<()> {
        if !self.pulls() {
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

    /// The gradient of one variable, by its place in name order, may leave.
    ///
    /// # Safety
    /// Nobody writes it before the update has ended.
    pub unsafe fn offer(
        &mut self,
        variable: usize,
        gradient: Memory,
        clock: &mut StepClock,
    ) -> Result<()> {
        match &mut self.exchange {
            // SAFETY: as promised.
            Some(exchange) => unsafe { exchange.offer(variable, gradient, clock) },
            None => Ok(()),
        }
    }

    /// Turns the gradients of this replica's batch, in name order, into the next parameters, or into
    /// means where somebody else updates these. Books `exchange`, `push`, `wait` and `apply`.
    ///
    /// # Safety
    /// Until it returns, nobody else uses the gradients, and this replica not its parameters.
    pub unsafe fn update(&mut self, gradients: &[Memory], clock: &mut StepClock) -> Result<()> {
        // SAFETY: as promised.
        unsafe {
            match self.alone() {
                true => self.update_alone(gradients, clock),
                false => self.update_together(gradients, clock),
            }
        }
    }

    /// Where the means of the last update are, until the next one begins; those of a single member are
    /// where its gradients were.
    pub fn means<'a>(&'a self, gradients: &'a [Memory]) -> &'a [Memory] {
        match self.alone() {
            true => gradients,
            false => self.group.means.parts(),
        }
    }

    /// Waits until all members are here.
    pub fn meet(&self) {
        if !self.alone() {
            self.group.barrier.wait();
        }
    }

    /// The parameters that all members update together.
    pub fn parameters(&self) -> &Parameters {
        &self.group.parameters
    }

    /// After the last step, off the clock: the parameters become those after all updates.
    pub fn finish(&mut self) -> Result<()> {
        self.first_does(|exchange, parameters| exchange.finish(parameters))
    }

    /// Updates by servers so far, as far as this replica knows; none where there are no servers.
    pub fn global_step(&self) -> Option<u64> {
        self.pulls()
            .then(|| self.group.global_step.load(Ordering::Relaxed))
    }

    /// Bytes of gradients of others that this member has read so far.
    pub fn averaged_bytes(&self) -> u64 {
        self.averaged_bytes
    }

    /// What has crossed to and from other processes so far; empty but for the first replica.
    pub fn links(&self) -> Vec<LinkReport> {
        let exchange = self.exchange.as_ref();
        exchange
            .map(|exchange| exchange.links())
            .unwrap_or_default()
    }
}
