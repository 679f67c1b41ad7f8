//! What all-reduce asks of whoever carries numbers between workers: the ring here is one way, a library
//! of a cluster another.

use crate::worker::parameters::Memory;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Numbers that are summed at once: some gradients of one step. All ranks have the same buckets in the
/// same order.
pub struct Bucket {
    /// The step it belongs to, from 0.
    pub step: u64,
    /// Its number within the step, from 0.
    pub number: u32,
    /// Memory that is taken as one array.
    pub parts: Vec<Memory>,
}

/// An operation of all ranks together.
pub trait Collective: Send {
    /// Replaces the numbers of the bucket by their sums over all ranks, times `scale`; all ranks get the
    /// same bits, in every run. Returns when they are there.
    ///
    /// # Errors
    /// [`PeerLost`](crate::worker::exchange::lost::PeerLost) where another rank does not answer; any
    /// other where ranks disagree about the bucket. Then the numbers are undefined, and the collective
    /// is of no more use.
    ///
    /// # Safety
    /// While it runs, nobody else uses the memory.
    unsafe fn all_reduce(&mut self, bucket: &Bucket, scale: f32) -> Result<()>;

    /// What it has done so far. Other threads may look while it works.
    fn traffic(&self) -> &Arc<Traffic>;
}

/// What one rank has sent and received so far.
#[derive(Debug, Default)]
pub struct Traffic {
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    /// In nanoseconds.
    moving: AtomicU64,
    waiting: AtomicU64,
}

impl Traffic {
    /// Adds bytes, and time in which they moved.
    pub fn moved(&self, sent: usize, received: usize, time: Duration) {
        self.sent_bytes.fetch_add(sent as u64, Ordering::Relaxed);
        self.received_bytes
            .fetch_add(received as u64, Ordering::Relaxed);
        self.moving
            .fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Adds time in which nothing could move.
    pub fn waited(&self, time: Duration) {
        self.waiting
            .fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    pub fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// Time in which bytes moved.
    pub fn moving(&self) -> Duration {
        Duration::from_nanos(self.moving.load(Ordering::Relaxed))
    }

    /// Time in which nothing could move, since another rank was not that far.
    pub fn waiting(&self) -> Duration {
        Duration::from_nanos(self.waiting.load(Ordering::Relaxed))
    }
}
