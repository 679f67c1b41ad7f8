//! Gradients averaged over all workers of a cell. In: the gradients of one worker. Out: their means, in
//! the same memory; each worker then updates its own parameters, and all stay equal.
//!
//! ```text
//! gradients ─► buckets ─► courier (a thread, where the exchange overlaps) ─► Collective: the ring
//! ring: schedule says what crosses when, links carry it, passes add it
//! ```

pub mod collective;
mod courier;
mod flat;
mod link;
mod patience;
pub mod ring;
pub mod schedule;

use super::transport::{self, Listener, Token};
use super::{Exchange, UpdatedBy};
use crate::protocol::{DeviceJob, Job, LinkReport};
use crate::terms::Phase;
use crate::worker::clock::StepClock;
use crate::worker::parameters::{Memory, Parameters};
use anyhow::Result;
use collective::{Bucket, Collective, Traffic};
use courier::Courier;
use ring::{Ring, Seat};
use std::sync::Arc;

/// Numbers in a bucket at least, but for the last of a step: small tensors cross together, so that
/// what a bucket costs does not count.
const BUCKET: usize = (4 << 20) / size_of::<f32>();

/// Joins the ring: calls the next worker, and is called by the one before.
///
/// # Errors
/// Where one of them is not there in time.
pub fn connect(
    job: &Job,
    listener: &Listener,
    peers: &[String],
    parameters: &Parameters,
) -> Result<Box<dyn Exchange>> {
    let seat = Seat {
        rank: job.rank,
        ranks: job.world_size,
        transport: transport::resolve(&job.settings),
        token: Token::parse(&job.token)?,
        silence: transport::silence(&job.settings),
    };
    let ring = Ring::join(&seat, listener, peers)?;
    let (traffic, scale) = (ring.traffic().clone(), 1.0 / seat.ranks as f32);
    let reducer = match job.settings.overlap {
        true => Reducer::Beside(Courier::start(Box::new(ring), scale, cores(job))?),
        false => Reducer::Here(Box::new(ring), scale),
    };
    Ok(Box::new(AllReduce {
        seat,
        reducer,
        traffic,
        offered: vec![false; parameters.memory().len()],
        collected: Vec::new(),
        buckets: 0,
        step: 0,
    }))
}

/// All logical CPUs of the worker.
fn cores(job: &Job) -> Vec<usize> {
    let cores = |device: &DeviceJob| match device {
        DeviceJob::Cpu { cores } | DeviceJob::Cuda { cores, .. } => cores.clone(),
    };
    job.devices.iter().flat_map(cores).collect()
}

struct AllReduce {
    seat: Seat,
    reducer: Reducer,
    traffic: Arc<Traffic>,
    /// Whether each variable's gradient of this step has been offered.
    offered: Vec<bool>,
    /// The bucket that is not full yet.
    collected: Vec<Memory>,
    /// Those of this step that were full.
    buckets: u32,
    step: u64,
}

enum Reducer {
    /// In the thread of the replica.
    Here(Box<dyn Collective>, f32),
    /// While that one goes on.
    Beside(Courier),
}

impl Reducer {
    /// # Safety
    /// Until `wait` returns, nobody else uses the memory.
    unsafe fn reduce(&mut self, bucket: Bucket) -> Result<()> {
        // SAFETY: as promised.
        unsafe {
            match self {
                Self::Here(collective, scale) => collective.all_reduce(&bucket, *scale),
                Self::Beside(courier) => courier.hand(bucket),
            }
        }
    }

    fn wait(&mut self) -> Result<()> {
        match self {
            Self::Here(..) => Ok(()),
            Self::Beside(courier) => courier.wait(),
        }
    }
}

impl AllReduce {
    /// Adds a gradient to the present bucket, which leaves when it is large enough.
    ///
    /// # Safety
    /// As [`Exchange::offer`].
    unsafe fn collect(&mut self, gradient: Memory) -> Result<()> {
        self.collected.push(gradient);
        match self.collected.iter().map(Memory::len).sum::<usize>() {
            // SAFETY: as promised.
            BUCKET.. => unsafe { self.reduce_collected() },
            _ => Ok(()),
        }
    }

    /// # Safety
    /// As [`Exchange::offer`].
    unsafe fn reduce_collected(&mut self) -> Result<()> {
        let bucket = Bucket {
            step: self.step,
            number: self.buckets,
            parts: std::mem::take(&mut self.collected),
        };
        self.buckets += 1;
        // SAFETY: as promised.
        unsafe { self.reducer.reduce(bucket) }
    }
}

impl Exchange for AllReduce {
    fn begin(&mut self, _: &Parameters, _: &mut StepClock) -> Result<()> {
        Ok(())
    }

    unsafe fn offer(
        &mut self,
        variable: usize,
        gradient: Memory,
        clock: &mut StepClock,
    ) -> Result<()> {
        if let Reducer::Beside(_) = self.reducer {
            self.offered[variable] = true;
            // SAFETY: as promised.
            unsafe { self.collect(gradient)? };
            clock.book(Phase::Exchange);
        }
        Ok(())
    }

    unsafe fn exchange(&mut self, gradients: &[Memory], clock: &mut StepClock) -> Result<()> {
        let waited = self.traffic.waiting();
        for (variable, gradient) in gradients.iter().enumerate() {
            if !std::mem::take(&mut self.offered[variable]) {
                // SAFETY: as promised, for longer than until `wait` returns.
                unsafe { self.collect(*gradient)? };
            }
        }
        if !self.collected.is_empty() {
            // SAFETY: the same.
            unsafe { self.reduce_collected()? };
        }
        self.reducer.wait()?;
        (self.step, self.buckets) = (self.step + 1, 0);
        clock.book_part(Phase::Wait, self.traffic.waiting() - waited);
        clock.book(Phase::Exchange);
        Ok(())
    }

    fn finish(&mut self, _: &Parameters) -> Result<()> {
        Ok(())
    }

    fn updated_by(&self) -> UpdatedBy {
        UpdatedBy::Worker
    }

    fn global_step(&self) -> Option<u64> {
        None
    }

    /// Bytes move both ways in the same time, which counts for each of them.
    fn links(&self) -> Vec<LinkReport> {
        let seconds = self.traffic.moving().as_secs_f64();
        let mut next = LinkReport {
            peer: self.seat.next().to_string(),
            pushed_bytes: self.traffic.sent_bytes(),
            push_seconds: seconds,
            ..LinkReport::default()
        };
        let before = LinkReport {
            peer: self.seat.before().to_string(),
            pulled_bytes: self.traffic.received_bytes(),
            pull_seconds: seconds,
            ..LinkReport::default()
        };
        // Two workers are each other's both neighbours.
        if next.peer == before.peer {
            (next.pulled_bytes, next.pull_seconds) = (before.pulled_bytes, before.pull_seconds);
            return vec![next];
        }
        vec![next, before]
    }
}

#[cfg(test)]
mod tests;
