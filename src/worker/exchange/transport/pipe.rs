//! Numbers from one process to another through memory that they have in common. In: numbers where they
//! lie. Out: numbers where the reader finds them, to be used in place. Knows not what they mean.
//!
//! One side writes and the other reads a ring, each with a position that it alone moves. A socket
//! beside it has two uses: a side that sleeps is woken by a byte, and its end says that the other side
//! is gone. Positions of the other side are checked before they are used: a process that writes
//! nonsense can spoil numbers, but not make this one leave the ring.

use super::{Segment, Socket};
use crate::terms::Phase;
use anyhow::{Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Numbers in the ring: it and what the reader adds to stay in the second-level cache.
const CAPACITY: usize = 256 << 10;

/// At most so many numbers become visible at once, so that the reader starts while the writer goes on.
const PIECE: usize = 8 << 10;

/// Numbers between two words of the control block: pairs of cache lines are fetched together.
const APART: usize = 32;

/// Words of the control block, which stands before the ring.
const WORDS: usize = 4;

/// What both sides see.
#[derive(Debug)]
struct Ring {
    segment: Segment,
}

impl Ring {
    fn elements() -> usize {
        WORDS * APART + CAPACITY
    }

    fn word<T>(&self, number: usize) -> *const T {
        assert!(number < WORDS);
        // SAFETY: the segment has `WORDS * APART` numbers and more.
        unsafe { self.segment.start().add(number * APART).cast() }
    }

    /// Numbers that were ever written.
    fn written(&self) -> &AtomicU64 {
        // SAFETY: the word is within the segment, aligned to 128 bytes, and only used as this atomic.
        unsafe { &*self.word(0) }
    }

    /// Numbers that were ever read.
    fn read(&self) -> &AtomicU64 {
        // SAFETY: as above.
        unsafe { &*self.word(1) }
    }

    fn writer_sleeps(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { &*self.word(2) }
    }

    fn reader_sleeps(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { &*self.word(3) }
    }

    /// At most `most` numbers from a position on that lie side by side.
    fn span(position: u64, most: usize) -> std::ops::Range<usize> {
        let at = (position % CAPACITY as u64) as usize;
        let start = WORDS * APART + at;
        start..start + most.min(CAPACITY - at).min(PIECE)
    }

    /// Numbers in the ring, by two positions of which one comes from the other process.
    fn filled(written: u64, read: u64, socket: &Socket) -> Result<usize> {
        let filled = written.wrapping_sub(read);
        if filled > CAPACITY as u64 {
            bail!(
                "{} says that {written} numbers were written and {read} read, in a ring of {CAPACITY}: \
                 it does not run the same program",
                socket.peer()
            );
        }
        Ok(filled as usize)
    }
}

/// The side that writes.
#[derive(Debug)]
pub struct Writer {
    ring: Ring,
    socket: Socket,
    written: u64,
    /// As seen last.
    read: u64,
}

/// The side that reads.
#[derive(Debug)]
pub struct Reader {
    ring: Ring,
    socket: Socket,
    /// As seen last.
    written: u64,
    read: u64,
}

impl Writer {
    /// Makes the ring, and hands it to the process at the other end of `socket`, which must be a Unix
    /// socket.
    pub fn open(mut socket: Socket) -> Result<Self> {
        let segment = Segment::create(Ring::elements())?;
        socket.send_descriptor(rustix::fd::AsFd::as_fd(&segment))?;
        socket.never_wait()?;
        Ok(Self {
            ring: Ring { segment },
            socket,
            written: 0,
            read: 0,
        })
    }

    /// Writes as many of the numbers as there is room for, and says how many; never waits.
    pub fn push(&mut self, numbers: &[f32]) -> Result<usize> {
        let room = self.room(numbers.len().min(PIECE))?;
        let span = Ring::span(self.written, room.min(numbers.len()));
        let count = span.len();
        if count == 0 {
            return Ok(0);
        }
        // SAFETY: the reader does not look at this part of the ring before `written` says so.
        let into = unsafe { self.ring.segment.memory().slice_mut(span) };
        into.copy_from_slice(&numbers[..count]);
        self.written += count as u64;
        self.ring.written().store(self.written, Ordering::Release);
        wake(self.ring.reader_sleeps(), &mut self.socket);
        Ok(count)
    }

    /// Numbers that fit into the ring; looks again only where they are fewer than wanted.
    fn room(&mut self, wanted: usize) -> Result<usize> {
        let known = CAPACITY - Ring::filled(self.written, self.read, &self.socket)?;
        if known >= wanted {
            return Ok(known);
        }
        self.read = self.ring.read().load(Ordering::Acquire);
        Ok(CAPACITY - Ring::filled(self.written, self.read, &self.socket)?)
    }

    /// The connection beside the ring: readable when there may be room.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Asks to be woken. Look for room once more before sleeping.
    pub fn announce_sleep(&mut self) {
        announce(self.ring.writer_sleeps());
    }

    /// No longer asks to be woken.
    pub fn awake(&mut self) {
        self.ring.writer_sleeps().store(0, Ordering::Relaxed);
    }

    /// Forgets what has woken this side.
    ///
    /// # Errors
    /// [`PeerLost`](super::super::lost::PeerLost) where the reader is gone and the ring full.
    pub fn hear(&mut self) -> Result<()> {
        match hear(&mut self.socket)? {
            Heard::End if self.room(1)? == 0 => Err(gone(&self.socket)),
            _ => Ok(()),
        }
    }
}

impl Reader {
    /// Takes the ring that the process at the other end of `socket` has made.
    pub fn open(mut socket: Socket) -> Result<Self> {
        let file = socket.receive_descriptor()?;
        socket.never_wait()?;
        Ok(Self {
            ring: Ring {
                segment: Segment::open(file, Ring::elements())?,
            },
            socket,
            written: 0,
            read: 0,
        })
    }

    /// At most `most` numbers that come next, where they lie; none if none has come; never waits.
    pub fn peek(&mut self, most: usize) -> Result<&[f32]> {
        let filled = self.filled(most.min(PIECE))?;
        let span = Ring::span(self.read, filled.min(most));
        // SAFETY: the writer leaves this part of the ring alone until `read` says so.
        Ok(unsafe { self.ring.segment.memory().slice(span) })
    }

    /// Gives back the room of `count` numbers, at most as many as were seen.
    pub fn advance(&mut self, count: usize) {
        assert!(count as u64 <= self.written - self.read, "numbers not seen");
        self.read += count as u64;
        self.ring.read().store(self.read, Ordering::Release);
        wake(self.ring.writer_sleeps(), &mut self.socket);
    }

    /// Numbers that have come; looks again only where they are fewer than wanted.
    fn filled(&mut self, wanted: usize) -> Result<usize> {
        let known = Ring::filled(self.written, self.read, &self.socket)?;
        if known >= wanted {
            return Ok(known);
        }
        let written = self.ring.written().load(Ordering::Acquire);
        let filled = Ring::filled(written, self.read, &self.socket)?;
        self.written = written;
        Ok(filled)
    }

    /// The connection beside the ring: readable when numbers may have come.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Asks to be woken. Look for numbers once more before sleeping.
    pub fn announce_sleep(&mut self) {
        announce(self.ring.reader_sleeps());
    }

    /// No longer asks to be woken.
    pub fn awake(&mut self) {
        self.ring.reader_sleeps().store(0, Ordering::Relaxed);
    }

    /// Forgets what has woken this side.
    ///
    /// # Errors
    /// [`PeerLost`](super::super::lost::PeerLost) where the writer is gone and the ring empty.
    pub fn hear(&mut self) -> Result<()> {
        match hear(&mut self.socket)? {
            Heard::End if self.filled(1)? == 0 => Err(gone(&self.socket)),
            _ => Ok(()),
        }
    }
}

/// Says that this side sleeps, before it looks for the last time. The other side moves its position
/// before it looks here: one of the two sees the other.
fn announce(sleeps: &AtomicU32) {
    sleeps.store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

/// Wakes the other side if it sleeps. That it is gone is seen where it is waited for, and a socket that
/// takes no byte has enough of them to wake it.
fn wake(sleeps: &AtomicU32, socket: &mut Socket) {
    fence(Ordering::SeqCst);
    if sleeps.load(Ordering::Relaxed) != 0 && sleeps.swap(0, Ordering::Relaxed) != 0 {
        let _ = socket.write(b"!");
    }
}

enum Heard {
    /// At most that something has changed.
    Call,
    /// The other side is gone. All that it did can be seen.
    End,
}

fn hear(socket: &mut Socket) -> Result<Heard> {
    match socket.read(&mut [0; 64]) {
        Ok(0) => Ok(Heard::End),
        Ok(_) => Ok(Heard::Call),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(Heard::Call),
            ErrorKind::ConnectionReset => Ok(Heard::End),
            _ => Err(socket.lost(error, Phase::Exchange)),
        },
    }
}

fn gone(socket: &Socket) -> anyhow::Error {
    socket.lost(ErrorKind::UnexpectedEof.into(), Phase::Exchange)
}

#[cfg(test)]
mod tests;
