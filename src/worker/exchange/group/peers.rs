//! Gradients averaged among the GPUs of one process, without a library and without the host's memory. In:
//! the gradients of each member, on its GPU. Out: their means, on every GPU the same bits. Each member
//! copies the packed gradients of all others into its own memory and adds them up in member order, so
//! that the result does not depend on timing. Members may share a GPU.
//!
//! ```text
//! member 0: pack ─ ready ───┬─ copy from 1 ─ taken ─ mean
//! member 1: pack ─ ready ───┴─ copy from 0 ─ taken ─ mean       the next pack waits for all `taken`
//! ```
//! `ready` and `taken` are events: GPUs wait for each other, hosts meet only to know that the other one
//! has put its event on a queue.

use crate::worker::gpu::{Buffer, Event, Gpu, Span};
use crate::worker::optimizer::GpuMean;
use anyhow::Result;
use std::sync::{Arc, Barrier};

/// One member's part in averaging.
pub struct Peers {
    shared: Arc<Shared>,
    number: usize,
    mean: GpuMean,
    /// Of all variables, one after the other.
    means: Buffer<f32>,
    copied_bytes: u64,
}

struct Shared {
    seats: Vec<Seat>,
    /// Numbers in each gradient of a member.
    lengths: Vec<usize>,
    barrier: Barrier,
}

/// What the others need of a member, and its own memory.
struct Seat {
    gpu: Gpu,
    /// A row for each member, its own one packed by itself, the others copied.
    rows: Span<f32>,
    /// Its row is packed.
    ready: Event,
    /// It has copied the rows of all others.
    taken: Event,
    _memory: Buffer<f32>,
}

impl Seat {
    fn new(gpu: &Gpu, members: usize, length: usize) -> Result<Self> {
        let mut memory = Buffer::default();
        Ok(Self {
            rows: memory.at_least(gpu, members * length)?,
            ready: Event::new(gpu)?,
            taken: Event::new(gpu)?,
            gpu: gpu.clone(),
            _memory: memory,
        })
    }
}

/// Makes the members of a group on these GPUs, for gradients of so many numbers.
pub fn form(gpus: &[Gpu], lengths: &[usize]) -> Result<Vec<Peers>> {
    for gpu in gpus {
        gpus.iter().try_for_each(|other| gpu.reach(other))?;
    }
    let length = lengths.iter().sum();
    let seat = |gpu| Seat::new(gpu, gpus.len(), length);
    let shared = Arc::new(Shared {
        seats: gpus.iter().map(seat).collect::<Result<_>>()?,
        lengths: lengths.to_vec(),
        barrier: Barrier::new(gpus.len()),
    });
    let member = |(number, gpu)| {
        let mut means = Buffer::default();
        means.at_least(gpu, length)?;
        Ok(Peers {
            shared: shared.clone(),
            number,
            mean: GpuMean::new(gpu, lengths, gpus.len())?,
            means,
            copied_bytes: 0,
        })
    };
    gpus.iter().enumerate().map(member).collect()
}

impl Shared {
    /// Numbers in all gradients of a member.
    fn length(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The gradients of one member in the memory of another.
    fn row(&self, of: usize, at: &Seat) -> Span<f32> {
        at.rows.part(of * self.length(), self.length())
    }

    /// The place of each gradient among all of them.
    fn parts(&self, all: Span<f32>) -> Vec<Span<f32>> {
        let mut first = 0;
        let part = |length: &usize| {
            first += length;
            all.part(first - length, *length)
        };
        self.lengths.iter().map(part).collect()
    }
}

impl Peers {
    /// Puts on the queue the means of all members' gradients, and says where they will be: in the same
    /// places in each step.
    pub fn average(&mut self, gradients: &[Span<f32>]) -> Result<Vec<Span<f32>>> {
        self.pack(gradients)?;
        self.shared.barrier.wait();
        self.copy()?;
        self.shared.barrier.wait();
        let (own, members) = (self.own(), 0..self.shared.seats.len());
        let rows = members.map(|member| self.shared.parts(self.shared.row(member, own)));
        let rows: Vec<_> = rows.collect();
        let means = self.shared.parts(self.means.span());
        self.mean.take(&rows, &means, 1.0 / rows.len() as f32)?;
        Ok(means)
    }

    fn own(&self) -> &Seat {
        &self.shared.seats[self.number]
    }

    fn others(&self) -> impl Iterator<Item = (usize, &Seat)> {
        let seats = self.shared.seats.iter().enumerate();
        seats.filter(|(number, _)| *number != self.number)
    }

    /// Packs the own gradients, once nobody copies those of the step before.
    fn pack(&self, gradients: &[Span<f32>]) -> Result<()> {
        let own = self.own();
        for (_, other) in self.others() {
            own.gpu.queue().wait(&other.taken)?;
        }
        let row = self.shared.parts(self.shared.row(self.number, own));
        for (gradient, place) in gradients.iter().zip(row) {
            own.gpu.copy(*gradient, place)?;
        }
        own.ready.record(own.gpu.queue())?;
        Ok(())
    }

    fn copy(&mut self) -> Result<()> {
        let own = self.own();
        let mut copied = 0;
        for (number, other) in self.others() {
            own.gpu.queue().wait(&other.ready)?;
            let from = self.shared.row(number, other);
            let to = self.shared.row(number, own);
            own.gpu.copy_from(&other.gpu, from, to)?;
            copied += from.len() * size_of::<f32>();
        }
        own.taken.record(own.gpu.queue())?;
        self.copied_bytes += copied as u64;
        Ok(())
    }

    /// Bytes that have come from other members so far.
    pub fn copied_bytes(&self) -> u64 {
        self.copied_bytes
    }
}
