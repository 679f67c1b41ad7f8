//! A replica on a GPU whose gradients go through the host's memory. In: gradients on its GPU. Out: there,
//! the next parameters, or the mean gradients that the GPU updates them by. Copies run between page-locked
//! memory and the GPU by themselves, and count as `exchange`, but for parameters that were just pulled.
//!
//! ```text
//! gradients ─► bring_down, wait ─► HostMember ─┬─ updated on the host: parameters ─► take_up
//!                                              ├─ updated on the GPU:  means ──────► take_up
//!                                              └─ updated by servers:  at the next `begin`
//! ```

use super::on_host::HostMember;
use crate::terms::Phase;
use crate::worker::clock::StepClock;
use crate::worker::gpu::{Queue, Span};
use crate::worker::parameters::mirror::{self, Mirror};
use crate::worker::parameters::{Memory, Parameters};
use anyhow::Result;

/// The way through the host of one member of a group.
pub struct ThroughHost {
    pub host: HostMember,
    gradients: Mirror,
    /// The replica's GPU updates the parameters, by means.
    updates_on_gpu: bool,
    copied_bytes: u64,
}

impl ThroughHost {
    pub fn new(host: HostMember, gradients: Mirror, updates_on_gpu: bool) -> Self {
        Self {
            host,
            gradients,
            updates_on_gpu,
            copied_bytes: 0,
        }
    }

    /// Brings the parameters of the replica up to date where servers have them. Books `pull` and `wait`.
    pub fn begin(&mut self, queue: &Queue, own: &Parameters, clock: &mut StepClock) -> Result<()> {
        self.host.begin(clock)?;
        if self.host.pulls() {
            self.take_up_parameters(queue, own)?;
            clock.book(Phase::Pull);
        }
        Ok(())
    }

    /// Makes of the gradients the next parameters of the replica; or replaces them by their means over all
    /// replicas, where its GPU updates. Waits for the gradients, and returns when the copies back are on
    /// the queue.
    pub fn update(
        &mut self,
        queue: &Queue,
        own: &Parameters,
        gradients: &[Span<f32>],
        clock: &mut StepClock,
    ) -> Result<()> {
        let below = self.gradients.parts();
        // SAFETY: members look at these gradients between the barriers of an update alone, and what went
        // up in the step before has left, since the queue is in order.
        unsafe { mirror::bring_down(queue, gradients, below)? };
        queue.synchronize()?;
        self.copied_bytes += bytes(below);
        clock.book(Phase::Exchange);
        // SAFETY: the gradients are down, and nobody has parameters in use but through `own`.
        unsafe { self.host.update(below, clock)? };
        if self.updates_on_gpu {
            let means = self.host.means(below);
            // SAFETY: means are written in the next update, when all members have waited for their queues.
            unsafe { mirror::take_up(queue, means, gradients)? };
            self.copied_bytes += bytes(means);
        } else if !self.host.pulls() {
            self.take_up_parameters(queue, own)?;
        } else {
            return Ok(());
        }
        clock.book(Phase::Exchange);
        Ok(())
    }

    /// From what all members of the group update together.
    fn take_up_parameters(&mut self, queue: &Queue, own: &Parameters) -> Result<()> {
        let memory = self.host.parameters().memory();
        self.copied_bytes += bytes(memory);
        // SAFETY: they are written in the next update, pull or finish, before which all members wait for
        // their queues.
        unsafe { mirror::take_up(queue, memory, own.spans())? };
        Ok(())
    }

    /// After the last step, off the clock: the replica's parameters become those after all updates.
    pub fn finish(&mut self, queue: &Queue, own: &Parameters) -> Result<()> {
        queue.synchronize()?;
        self.host.meet();
        self.host.finish()?;
        if self.host.pulls() {
            self.take_up_parameters(queue, own)?;
        }
        queue.synchronize()?;
        // The digest of the first replica writes the memory that others may still copy from.
        self.host.meet();
        Ok(())
    }

    /// Bytes that have crossed between the GPU and the host so far, both ways.
    pub fn copied_bytes(&self) -> u64 {
        self.copied_bytes
    }
}

fn bytes(memory: &[Memory]) -> u64 {
    let lengths = memory.iter().map(Memory::len);
    (lengths.sum::<usize>() * size_of::<f32>()) as u64
}
