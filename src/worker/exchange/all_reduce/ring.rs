//! All-reduce in a ring: each rank sends to the next one and receives from the one before, at the same
//! time and without ever waiting for one alone, so that no order of calls can lock the ring up. In: the
//! memory of a bucket, and links. Out: sums in that memory. Which numbers go when: see [`Schedule`].

use super::collective::{Bucket, Collective, Traffic};
use super::flat::Flat;
use super::link::{Receiver, Sender, Stream};
use super::patience::Patience;
use super::schedule::{Move, Schedule};
use crate::terms::{RoleName, Transport};
use crate::worker::exchange::transport::frame::Head;
use crate::worker::exchange::transport::{self, Listener, Peer, Socket, Token, pipe};
use crate::worker::parameters::Memory;
use crate::worker::passes::Store;
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The only kind of message here: a bucket.
const BUCKET: u32 = 1;

/// A head, as numbers that cross like all others.
const HEAD: usize = size_of::<Head>() / size_of::<f32>();

/// One rank's place in a ring.
#[derive(Clone, Copy)]
pub struct Seat {
    pub rank: usize,
    pub ranks: usize,
    pub transport: Transport,
    pub token: Token,
    /// A link on which nothing moves for so long, while something is due, is lost.
    pub silence: Duration,
}

impl Seat {
    /// Who receives from this rank.
    pub fn next(&self) -> Peer {
        worker((self.rank + 1) % self.ranks)
    }

    /// Who sends to this rank.
    pub fn before(&self) -> Peer {
        worker((self.rank + self.ranks - 1) % self.ranks)
    }
}

fn worker(rank: usize) -> Peer {
    Peer {
        role: RoleName::Worker,
        rank,
    }
}

/// One rank of a ring.
pub struct Ring {
    rank: usize,
    ranks: usize,
    next: Box<dyn Sender>,
    before: Box<dyn Receiver>,
    traffic: Arc<Traffic>,
}

impl Ring {
    /// Calls the next rank, whose address is among those of all ranks, and is called by the one before.
    ///
    /// # Errors
    /// Where one of them is not there in time, or somebody else calls.
    pub fn join(seat: &Seat, listener: &Listener, addresses: &[String]) -> Result<Self> {
        ensure!(
            addresses.len() == seat.ranks && seat.ranks > 1,
            "a ring of {} workers has {} addresses",
            seat.ranks,
            addresses.len()
        );
        let (called, caller) = meet(seat, listener, &addresses[seat.next().rank])?;
        let (next, before): (Box<dyn Sender>, Box<dyn Receiver>) = match seat.transport {
            Transport::SharedMemory => (
                Box::new(pipe::Writer::open(called)?),
                Box::new(pipe::Reader::open(caller)?),
            ),
            _ => (
                Box::new(Stream::sender(called)?),
                Box::new(Stream::receiver(caller)?),
            ),
        };
        Ok(Self {
            rank: seat.rank,
            ranks: seat.ranks,
            next,
            before,
            traffic: Arc::default(),
        })
    }

    /// Tells the next rank which bucket follows, and sees whether the one before has the same.
    fn agree(&mut self, bucket: &Bucket, elements: usize) -> Result<()> {
        let bytes = (elements * size_of::<f32>()) as u64;
        let own = Head::new(BUCKET, bucket.number, bucket.step, bytes);
        let mut heads = [[0f32; HEAD]; 2];
        bytemuck::cast_slice_mut(&mut heads[0]).copy_from_slice(own.as_bytes());
        let parts = [Memory::of_slice(heads.as_flattened_mut())];
        let head = |number: usize| Move {
            tick: 0,
            elements: number * HEAD..(number + 1) * HEAD,
            store: Store::Cached,
        };
        // SAFETY: the memory is of this function, which does nothing else with it meanwhile.
        unsafe {
            self.pump(
                &Flat::of(&parts),
                [head(0)].into_iter(),
                [head(1)].into_iter(),
            )?
        };
        let bytes: &[u8] = bytemuck::cast_slice(&heads[1]);
        let theirs = Head::parse(bytes.try_into().expect("as long as a head"))?;
        ensure!(
            theirs == own,
            "{} is at bucket {} of step {} with {} bytes, this worker at bucket {} of step {} with {} \
             bytes: all workers must train the same model",
            self.before.socket().peer(),
            theirs.unit,
            theirs.step,
            theirs.bytes,
            own.unit,
            own.step,
            own.bytes
        );
        Ok(())
    }

    /// Sends and receives until both are done.
    ///
    /// # Safety
    /// As [`Collective::all_reduce`].
    unsafe fn pump(
        &mut self,
        flat: &Flat<'_>,
        sends: impl Iterator<Item = Move>,
        receives: impl Iterator<Item = Move>,
    ) -> Result<()> {
        let (mut sends, mut receives) = (Lane::of(sends), Lane::of(receives));
        let (started, waited) = (Instant::now(), self.traffic.waiting());
        let mut patience = Patience::default();
        loop {
            let mut crossed = 0;
            // What is sent in a tick is complete when all earlier ones have come.
            let may_send = sends.tick() <= receives.tick();
            if let (Some(part), true) = (&mut sends.part, may_send) {
                // SAFETY: as promised; this thread has one slice at a time.
                let numbers = unsafe { flat.first_of(&part.elements) };
                let count = self.next.push(numbers)?;
                sends.advance(count);
                crossed += count;
            }
            if let Some(part) = &mut receives.part {
                // SAFETY: the same.
                let own = unsafe { flat.first_of(&part.elements) };
                let count = self.before.take(own, part.store)?;
                receives.advance(count);
                crossed += count;
            }
            let waits = (sends.part.is_some() && may_send, receives.part.is_some());
            if sends.part.is_none() && receives.part.is_none() {
                break;
            } else if crossed == 0 {
                patience.rest(&mut *self.next, &mut *self.before, waits)?;
            } else if let Some(time) = patience.end(&mut *self.next, &mut *self.before) {
                self.traffic.waited(time);
            }
        }
        let waited = self.traffic.waiting() - waited;
        let moving = started.elapsed().saturating_sub(waited);
        self.traffic.moved(sends.bytes(), receives.bytes(), moving);
        Ok(())
    }
}

/// The connections to the next rank and from the one before.
fn meet(seat: &Seat, listener: &Listener, next: &str) -> Result<(Socket, Socket)> {
    let deadline = Instant::now() + seat.silence;
    let ends = (worker(seat.rank), seat.next());
    // Whoever calls waits until it is answered, so each rank has to answer meanwhile.
    let (called, caller) = std::thread::scope(|scope| {
        let call = scope.spawn(|| transport::connect(next, &seat.token, ends, seat.silence));
        let caller = listener.accept(&seat.token, deadline, seat.silence);
        (call.join().expect("calling does not panic"), caller)
    });
    let before = seat.before();
    let (called, caller) = (
        called?,
        caller.with_context(|| format!("expecting {before}"))?,
    );
    ensure!(
        caller.peer() == before,
        "{} called where {before} was due",
        caller.peer()
    );
    Ok((called, caller))
}

/// One direction's way through its moves.
struct Lane<I> {
    moves: I,
    /// What is left of the present one.
    part: Option<Move>,
    crossed: usize,
}

impl<I: Iterator<Item = Move>> Lane<I> {
    fn of(mut moves: I) -> Self {
        Self {
            part: moves.next(),
            moves,
            crossed: 0,
        }
    }

    /// All earlier ticks are done.
    fn tick(&self) -> usize {
        self.part.as_ref().map_or(usize::MAX, |part| part.tick)
    }

    fn advance(&mut self, count: usize) {
        self.crossed += count;
        if let Some(part) = &mut self.part {
            part.elements.start += count;
            if part.elements.is_empty() {
                self.part = self.moves.next();
            }
        }
    }

    fn bytes(&self) -> usize {
        self.crossed * size_of::<f32>()
    }
}

impl Collective for Ring {
    unsafe fn all_reduce(&mut self, bucket: &Bucket, scale: f32) -> Result<()> {
        let flat = Flat::of(&bucket.parts);
        self.agree(bucket, flat.len())?;
        let schedule = Schedule {
            rank: self.rank,
            ranks: self.ranks,
            elements: flat.len(),
            scale,
        };
        // SAFETY: as promised.
        unsafe { self.pump(&flat, schedule.sends(), schedule.receives()) }
    }

    fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }
}
