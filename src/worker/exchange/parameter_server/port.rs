//! One end of the connection between a worker and a server. In: the numbers of a unit where they lie.
//! Out: the same at the other end. It knows transports and encodings, so that nobody else has to, and
//! neither rounds nor parameters.
//!
//! Over a stream the numbers follow the head of their message. In shared memory each process has a
//! segment that it writes, and a message says that the numbers of a unit are there.

use super::super::transport::frame::Head;
use super::super::transport::{Segment, Socket};
use super::encoding;
use super::messages::Kind;
use super::numbers::Numbers;
use super::units::Unit;
use crate::terms::{Encoding, Phase};
use crate::worker::passes::{Store, bring};
use anyhow::{Context, Error, Result, anyhow};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::sync::Arc;

/// A connection, the units that are sent over it, and how.
pub struct Port {
    socket: Socket,
    units: Arc<[Unit]>,
    encoding: Encoding,
    shared: Option<Shared>,
    /// Heads that leave with the next bytes, so that the other side wakes once for all of them.
    queued: Vec<u8>,
}

/// Segments with a slot for each unit. A process writes a slot before it says so, and not again until
/// the other side has told that it needs it no more: by its next pull, push or release.
struct Shared {
    outgoing: Arc<Segment>,
    incoming: Numbers,
}

impl Port {
    /// A port for streams.
    pub fn new(socket: Socket, units: Arc<[Unit]>, encoding: Encoding) -> Self {
        Self {
            socket,
            units,
            encoding,
            shared: None,
            queued: Vec::new(),
        }
    }

    /// Moves numbers through shared memory from now on: hands `outgoing` to the other side, which does
    /// the same.
    pub fn share(&mut self, outgoing: Arc<Segment>) -> Result<()> {
        let sharing = format!("sharing memory with {}", self.socket.peer());
        let room = super::units::room(&self.units).1;
        let mut share = || {
            self.socket.send_descriptor(outgoing.as_fd())?;
            Segment::open(self.socket.receive_descriptor()?, room)
        };
        let incoming = share().context(sharing)?;
        self.shared = Some(Shared {
            outgoing,
            incoming: Numbers::shared(Arc::new(incoming)),
        });
        Ok(())
    }

    /// Waits until something comes, or the connection ends, however long that takes.
    pub fn idle(&self) -> Result<()> {
        loop {
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("waiting for a message"),
            }
        }
    }

    /// The head of the next message.
    pub fn head(&mut self, phase: Phase) -> Result<(Kind, Head)> {
        let head = Head::receive(&mut self.socket, phase)
            .with_context(|| format!("reading a message of {}", self.socket.peer()))?;
        let kind = Kind::try_from(head.kind).map_err(|error| self.refusal(error))?;
        Ok((kind, head))
    }

    /// The head of the next message, which has to be of this kind.
    pub fn expect(&mut self, due: Kind, phase: Phase) -> Result<Head> {
        let (kind, head) = self.head(phase)?;
        if kind != due {
            return Err(self.refusal(anyhow!("{kind:?} where {due:?} was due")));
        }
        Ok(head)
    }

    /// Why the other side is no peer to go on with.
    pub fn refusal(&self, error: Error) -> Error {
        error.context(format!(
            "{} broke the protocol: is it the same build?",
            self.socket.peer()
        ))
    }

    /// Lets a message without numbers leave with the next bytes.
    pub fn queue(&mut self, kind: Kind, unit: usize, step: u64) {
        let head = Head::new(kind as u32, unit as u32, step, 0);
        self.queued.extend_from_slice(head.as_bytes());
    }

    /// Lets what is queued leave now.
    pub fn flush(&mut self, phase: Phase) -> Result<()> {
        self.write(&[], phase)
    }

    /// Writes messages as they are.
    pub fn write(&mut self, parts: &[&[u8]], phase: Phase) -> Result<()> {
        if self.queued.is_empty() {
            return self.socket.send(parts, phase);
        }
        let mut all = Vec::with_capacity(1 + parts.len());
        all.push(&self.queued[..]);
        all.extend_from_slice(parts);
        self.socket.send(&all, phase)?;
        self.queued.clear();
        Ok(())
    }

    /// Sends the numbers of a unit. In shared memory the message alone stays in the queue.
    pub fn send(&mut self, kind: Kind, step: u64, unit: usize, numbers: &[f32]) -> Result<()> {
        let encoded;
        let bytes: &[u8] = match self.encoding {
            Encoding::Raw => bytemuck::cast_slice(numbers),
            Encoding::Serialised => {
                encoded = encoding::encode(numbers);
                &encoded
            }
        };
        let Some(shared) = &self.shared else {
            let head = Head::new(kind as u32, unit as u32, step, bytes.len() as u64);
            return self.write(&[head.as_bytes(), bytes], kind.phase());
        };
        let slot = self.units[unit].slot.clone();
        // SAFETY: the other side does not read a slot before this message says so, and has told that
        // it is done with what was in it before.
        let slot = unsafe { shared.outgoing.memory().slice_mut(slot) };
        match self.encoding {
            Encoding::Raw => bring(numbers, &mut slot[..numbers.len()], Store::Streamed),
            Encoding::Serialised => {
                bytemuck::cast_slice_mut(slot)[..bytes.len()].copy_from_slice(bytes);
            }
        }
        self.queue(kind, unit, step);
        Ok(())
    }

    /// Whether the numbers of a unit can be used where the other side has written them.
    pub fn in_place(&self) -> bool {
        self.shared.is_some() && self.encoding == Encoding::Raw
    }

    /// What the other side writes, with shared memory and raw encoding.
    pub fn incoming(&self) -> Option<&Numbers> {
        let shared = self.shared.as_ref().filter(|_| self.in_place());
        shared.map(|shared| &shared.incoming)
    }

    /// The unit that a head names, if it exists and its message has the length that it has to have.
    pub fn unit(&self, head: &Head) -> Result<usize> {
        let check = || {
            let unit = self.units.get(head.unit as usize);
            let unit = unit.with_context(|| format!("there is no unit {}", head.unit))?;
            head.expect_bytes(match (&self.shared, self.encoding) {
                (Some(_), _) => 0,
                (None, Encoding::Raw) => unit.bytes(),
                (None, Encoding::Serialised) => encoding::length(unit.len()) as u64,
            })
        };
        check().map_err(|error| self.refusal(error))?;
        Ok(head.unit as usize)
    }

    /// Takes the numbers that belong to a head whose unit was checked.
    pub fn receive(&mut self, unit: usize, into: &mut [f32], phase: Phase) -> Result<()> {
        let length = encoding::length(into.len());
        match (&self.shared, self.encoding) {
            (None, Encoding::Raw) => self.socket.receive(bytemuck::cast_slice_mut(into), phase),
            (None, Encoding::Serialised) => {
                let mut message = vec![0; length];
                self.socket.receive(&mut message, phase)?;
                encoding::decode(&message, into).map_err(|error| self.refusal(error))
            }
            (Some(shared), encoding) => {
                let slot = self.units[unit].slot.clone();
                // SAFETY: the other side has written the slot, and waits for this one to be done.
                let slot = unsafe { shared.incoming.memory().slice(slot) };
                if encoding == Encoding::Raw {
                    bring(&slot[..into.len()], into, Store::Streamed);
                    return Ok(());
                }
                let message = &bytemuck::cast_slice(slot)[..length];
                encoding::decode(message, into).map_err(|error| self.refusal(error))
            }
        }
    }

    /// All units that are sent over it.
    pub fn units(&self) -> &Arc<[Unit]> {
        &self.units
    }
}
