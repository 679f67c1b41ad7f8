//! The ceiling of an all-reduce of two ranks in shared memory: each on its core, both at a time, reads
//! and writes what a ring would, and waits for nobody within a round. The numbers mean nothing.
//!
//! A rank of a ring sends half of its array, adds what comes to the other half, sends that, and takes
//! what comes then. All that is sent goes through a small buffer, slab by slab, which stays in a cache.

use super::pair::{self, Side};
use super::{Load, filled};
use crate::worker::exchange::transport::Segment;
use crate::worker::passes::{Store, bring_raw};
use anyhow::{Context, Result};
use rustix::fd::AsFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Numbers that go through the buffer at a time: 256 KiB.
const SLAB: usize = (256 << 10) / size_of::<f32>();

/// Slabs of a buffer: one is read while the next is written.
const SLABS: usize = 2;

/// Rounds of an array as long as all tensors together.
pub fn all_reduce(load: &Load, places: [usize; 2]) -> Result<Vec<f64>> {
    let ours = [
        Segment::create(SLABS * SLAB)?,
        Segment::create(SLABS * SLAB)?,
    ];
    let theirs = [mapped_again(&ours[1])?, mapped_again(&ours[0])?];
    let (to_second, from_first) = sync_channel(1);
    let (to_first, from_second) = sync_channel(1);
    let rank = |[outgoing, incoming]: [Segment; 2], tell, told| {
        move || {
            let array = filled(&[load.elements()]).remove(0);
            Ok(Rank {
                array,
                outgoing,
                incoming,
                tell,
                told,
            })
        }
    };
    pair::run(
        places,
        load.again,
        rank(ours, to_second, from_second),
        rank(theirs, to_first, from_first),
    )
}

/// The same memory at another address, as another process has it.
fn mapped_again(segment: &Segment) -> Result<Segment> {
    let file = segment.as_fd().try_clone_to_owned();
    Segment::open(file.context("sharing memory")?, SLABS * SLAB)
}

/// One rank of two.
struct Rank {
    array: Vec<f32>,
    outgoing: Segment,
    incoming: Segment,
    tell: SyncSender<()>,
    told: Receiver<()>,
}

impl Side for Rank {
    fn signal(&mut self) -> Result<()> {
        self.tell
            .send(())
            .context("the other side of the probe is gone")
    }

    fn wait(&mut self) -> Result<()> {
        self.told
            .recv()
            .context("the other side of the probe is gone")
    }

    fn round(&mut self) -> Result<()> {
        let half = self.array.len() / 2;
        let (sent, summed) = self.array.split_at_mut(half);
        // Reduce-scatter: the other rank sums our first half, and we the second one.
        for (slab, (sent, summed)) in slabs(sent, summed).enumerate() {
            put(sent, &self.outgoing, slab);
            take(&self.incoming, slab, summed, Store::Summed { factor: 1.0 });
        }
        // All-gather: sums go out, and those of the other rank come.
        for (slab, (taken, summed)) in slabs(sent, summed).enumerate() {
            put(summed, &self.outgoing, slab);
            take(&self.incoming, slab, taken, Store::Streamed);
        }
        Ok(())
    }
}

fn slabs<'a>(
    first: &'a mut [f32],
    second: &'a mut [f32],
) -> impl Iterator<Item = (&'a mut [f32], &'a mut [f32])> {
    first.chunks_mut(SLAB).zip(second.chunks_mut(SLAB))
}

/// Copies a slab into its place in a buffer.
fn put(numbers: &[f32], buffer: &Segment, slab: usize) {
    assert!(numbers.len() <= SLAB, "more than a slab");
    // SAFETY: the buffer has `SLABS` slabs. The other rank may read the numbers meanwhile, through
    // another mapping and as raw numbers: it takes any.
    unsafe {
        let to = buffer.memory().start().add(slab % SLABS * SLAB);
        bring_raw(numbers.as_ptr(), to, numbers.len(), Store::Cached);
    }
}

/// Takes the slab before this one, which the other rank has written last, into an array.
fn take(buffer: &Segment, slab: usize, numbers: &mut [f32], store: Store) {
    assert!(numbers.len() <= SLAB, "more than a slab");
    // SAFETY: the buffer has `SLABS` slabs. The other rank may write the numbers meanwhile, through
    // another mapping: all bits are numbers.
    unsafe {
        let from = buffer.memory().start().add((slab + 1) % SLABS * SLAB);
        bring_raw(from, numbers.as_mut_ptr(), numbers.len(), store);
    }
}
