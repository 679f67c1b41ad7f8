//! Replicas of one process that train one set of parameters together, as in the multi-GPU script of
//! TensorFlow's CIFAR-10 tutorial: gradients are averaged, and every replica goes on with the same
//! parameters. A group of one is a replica on its own: topologies `single` and `independent`.
//!
//! On CPUs all members read the same variables, which they update together: [`on_host`]. On GPUs each has
//! variables of its own: [`on_gpu`].

mod means;
pub mod on_gpu;
pub mod on_host;
mod peers;
mod through_host;

use super::Joined;
use crate::protocol::LinkReport;
use crate::spec::settings::Settings;
use crate::worker::clock::StepClock;
use crate::worker::optimizer::Config;
use crate::worker::parameters::{Memory, Parameters};
use anyhow::Result;
use candle_core::Tensor;
use means::Means;
use on_gpu::GpuMember;
use on_host::HostMember;
use std::sync::Arc;

/// One member of a group of replicas.
pub struct Member {
    side: Side,
    steps: u64,
}

/// Where a replica is.
enum Side {
    Cpu(HostMember),
    Gpu(Box<GpuMember>),
}

/// Makes all members of a group of `size` replicas on CPUs that train `parameters`.
pub fn form(settings: &Settings, parameters: &Arc<Parameters>, size: usize) -> Vec<Member> {
    let means = match size {
        1 => Means::none(),
        _ => Means::zeros(parameters.memory().iter().map(Memory::len)),
    };
    let members = on_host::form(Some(Config::of(settings)), parameters, size, means);
    members
        .into_iter()
        .map(Side::Cpu)
        .map(Member::new)
        .collect()
}

/// Makes all members of a group of replicas on GPUs, each with the parameters on its own one.
///
/// # Errors
/// The driver's words, or NCCL's.
pub fn form_on_gpus(settings: &Settings, replicas: &[Arc<Parameters>]) -> Result<Vec<Member>> {
    let members = on_gpu::form(settings, replicas)?.into_iter();
    let side = |member| Side::Gpu(Box::new(member));
    Ok(members.map(side).map(Member::new).collect())
}

/// Lets the members of a group exchange with other processes, before any of them runs.
///
/// # Errors
/// NCCL's words.
pub fn join(members: &mut [&mut Member], joined: Joined) -> Result<()> {
    let (mut cpus, mut gpus) = (Vec::new(), Vec::new());
    for member in members {
        match &mut member.side {
            Side::Cpu(member) => cpus.push(member),
            Side::Gpu(member) => gpus.push(&mut **member),
        }
    }
    match joined {
        Joined::Nobody => {}
        Joined::Exchange(exchange) if gpus.is_empty() => on_host::join(&mut cpus, exchange),
        Joined::Exchange(exchange) => on_gpu::join(&mut gpus, exchange),
        Joined::Collective(ranks) => on_gpu::join_collective(&mut gpus, &ranks)?,
    }
    Ok(())
}

/// What the step loop calls, in this order.
impl Member {
    fn new(side: Side) -> Self {
        Self { side, steps: 0 }
    }

    /// Brings the parameters up to date before a forward pass. Books `pull` and `wait`.
    pub fn begin(&mut self, clock: &mut StepClock) -> Result<()> {
        match &mut self.side {
            Side::Cpu(member) => member.begin(clock),
            Side::Gpu(member) => member.begin(clock),
        }
    }

    /// Whether gradients may leave while the backward pass goes on: those of the only replica. Those of a
    /// GPU are not there when its host has put the pass on the queue.
    pub fn takes_offers(&self) -> bool {
        match &self.side {
            Side::Cpu(member) => member.takes_offers(),
            Side::Gpu(_) => false,
        }
    }

    /// The gradient of one variable, by its place in name order, is final: no later part of the
    /// backward pass writes it, and it may leave.
    pub fn offer(
        &mut self,
        variable: usize,
        gradient: &Tensor,
        clock: &mut StepClock,
    ) -> Result<()> {
        match &mut self.side {
            // SAFETY: a tape offers a gradient when no call of its pass writes it any more.
            Side::Cpu(member) => unsafe { member.offer(variable, Memory::of(gradient)?, clock) },
            Side::Gpu(_) => Ok(()),
        }
    }

    /// Turns the gradients of this replica's batch, in name order, into the next parameters, and
    /// returns when this replica has no more to do with them; a GPU may still have. Books `exchange`,
    /// `push`, `wait` and `apply`.
    pub fn update(&mut self, gradients: Vec<Tensor>, clock: &mut StepClock) -> Result<()> {
        self.steps += 1;
        match &mut self.side {
            Side::Cpu(member) => {
                let memory = gradients.iter().map(Memory::of);
                let memory = memory.collect::<candle_core::Result<Vec<_>>>()?;
                // SAFETY: the tape that owns the gradients does not run before this returns, and the
                // replica is in no forward pass.
                unsafe { member.update(&memory, clock) }
            }
            Side::Gpu(member) => member.update(&gradients, clock),
        }
    }

    /// Whether an update is nothing but work on a GPU's queue, so that a graph can replay it.
    pub fn is_queued(&self) -> bool {
        match &self.side {
            Side::Cpu(_) => false,
            Side::Gpu(member) => member.is_queued(),
        }
    }

    /// Counts a step whose update was replayed by a graph.
    pub fn note_step(&mut self) {
        self.steps += 1;
        if let Side::Gpu(member) = &mut self.side {
            member.note_replay();
        }
    }

    /// After the last step, off the clock: the parameters become those after all updates.
    pub fn finish(&mut self) -> Result<()> {
        match &mut self.side {
            Side::Cpu(member) => member.finish(),
            Side::Gpu(member) => member.finish(),
        }
    }

    /// Updates of the parameters so far, over all workers, as far as this replica knows.
    pub fn global_step(&self) -> u64 {
        let of_servers = match &self.side {
            Side::Cpu(member) => member.global_step(),
            Side::Gpu(member) => member.global_step(),
        };
        of_servers.unwrap_or(self.steps)
    }

    /// Bytes of gradients and parameters that have crossed to this replica from others so far, between
    /// its GPU and the host, and between its worker and other processes.
    pub fn exchanged_bytes(&self) -> u64 {
        let links = self.links();
        let outside = links
            .iter()
            .map(|link| link.pulled_bytes + link.pushed_bytes);
        let inside = match &self.side {
            Side::Cpu(member) => member.averaged_bytes(),
            Side::Gpu(member) => member.exchanged_bytes(),
        };
        inside + outside.sum::<u64>()
    }

    /// What has crossed to and from other processes so far; empty but for the first replica.
    pub fn links(&self) -> Vec<LinkReport> {
        match &self.side {
            Side::Cpu(member) => member.links(),
            Side::Gpu(member) => member.links(),
        }
    }
}
