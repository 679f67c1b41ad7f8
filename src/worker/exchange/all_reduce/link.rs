//! The two ends that a rank has in the ring, whatever carries the numbers: none of them ever waits, so
//! that a rank can send and receive at the same time without a second thread.

use crate::terms::Phase;
use crate::worker::exchange::transport::{Socket, pipe};
use crate::worker::passes::{Store, bring};
use anyhow::Result;
use rustix::event::PollFlags;
use std::io::{ErrorKind, Read, Write};

/// Numbers that a stream takes in at once before they are added: they stay in the first-level cache
/// or near it.
const SCRATCH: usize = 32 << 10;

/// One end of a link: how to sleep until it may go on.
pub trait End: Send {
    /// What is polled.
    fn socket(&self) -> &Socket;

    /// What it is polled for.
    fn wanted(&self) -> PollFlags;

    /// This side will sleep, unless it can go on now.
    fn announce_sleep(&mut self) {}

    /// This side goes on.
    fn awake(&mut self) {}

    /// Polling has seen something.
    ///
    /// # Errors
    /// Where the other side is gone.
    fn hear(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Where numbers leave.
pub trait Sender: End {
    /// Sends as many as can leave now, and says how many; those that it does not count come again.
    fn push(&mut self, numbers: &[f32]) -> Result<usize>;
}

/// Where numbers come.
pub trait Receiver: End {
    /// Stores numbers that have come in the first places of `own`, and says how many; those that it does
    /// not count come again, to be stored in the same way.
    fn take(&mut self, own: &mut [f32], store: Store) -> Result<usize>;
}

macro_rules! pipe_end {
    ($end:ty) => {
        impl End for $end {
            fn socket(&self) -> &Socket {
                self.socket()
            }

            fn wanted(&self) -> PollFlags {
                PollFlags::IN
            }

            fn announce_sleep(&mut self) {
                self.announce_sleep()
            }

            fn awake(&mut self) {
                self.awake()
            }

            fn hear(&mut self) -> Result<()> {
                self.hear()
            }
        }
    };
}
pipe_end!(pipe::Writer);
pipe_end!(pipe::Reader);

impl Sender for pipe::Writer {
    fn push(&mut self, numbers: &[f32]) -> Result<usize> {
        self.push(numbers)
    }
}

impl Receiver for pipe::Reader {
    fn take(&mut self, own: &mut [f32], store: Store) -> Result<usize> {
        let come = self.peek(own.len())?;
        let count = come.len();
        bring(come, &mut own[..count], store);
        self.advance(count);
        Ok(count)
    }
}

/// One end of a socket, which may tear a number.
pub struct Stream {
    socket: Socket,
    wanted: PollFlags,
    /// Bytes of the next number that have crossed already.
    torn: usize,
    /// Where numbers wait to be added; those of the torn one come first.
    scratch: Vec<f32>,
}

impl Stream {
    pub fn sender(socket: Socket) -> Result<Self> {
        Self::of(socket, PollFlags::OUT, 0)
    }

    pub fn receiver(socket: Socket) -> Result<Self> {
        Self::of(socket, PollFlags::IN, SCRATCH)
    }

    fn of(mut socket: Socket, wanted: PollFlags, scratch: usize) -> Result<Self> {
        socket.never_wait()?;
        Ok(Self {
            socket,
            wanted,
            torn: 0,
            scratch: vec![0.0; scratch],
        })
    }

    /// Whole numbers that have crossed when so many more bytes have.
    fn whole(&mut self, bytes: usize) -> usize {
        let bytes = self.torn + bytes;
        self.torn = bytes % size_of::<f32>();
        bytes / size_of::<f32>()
    }
}

impl End for Stream {
    fn socket(&self) -> &Socket {
        &self.socket
    }

    fn wanted(&self) -> PollFlags {
        self.wanted
    }
}

impl Sender for Stream {
    fn push(&mut self, numbers: &[f32]) -> Result<usize> {
        let bytes = &bytemuck::cast_slice(numbers)[self.torn..];
        let crossed = self.socket.write(bytes);
        let crossed = crossed_bytes(crossed, ErrorKind::WriteZero, &self.socket)?;
        Ok(self.whole(crossed))
    }
}

impl Receiver for Stream {
    fn take(&mut self, own: &mut [f32], store: Store) -> Result<usize> {
        let most = own.len().min(SCRATCH);
        let summed = matches!(store, Store::Summed { .. });
        let into = match summed {
            true => &mut self.scratch[..most],
            false => &mut own[..],
        };
        let bytes = &mut bytemuck::cast_slice_mut(into)[self.torn..];
        let crossed = self.socket.read(bytes);
        let crossed = crossed_bytes(crossed, ErrorKind::UnexpectedEof, &self.socket)?;
        let count = self.whole(crossed);
        if summed {
            bring(&self.scratch[..count], &mut own[..count], store);
            if self.torn > 0 {
                self.scratch[0] = self.scratch[count];
            }
        }
        Ok(count)
    }
}

/// How many bytes a call on a non-blocking socket has moved; `none` is what it means if it moved none
/// without failing.
fn crossed_bytes(
    crossed: std::io::Result<usize>,
    none: ErrorKind,
    socket: &Socket,
) -> Result<usize> {
    match crossed {
        Ok(0) => Err(socket.lost(none.into(), Phase::Exchange)),
        Ok(bytes) => Ok(bytes),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(0),
            _ => Err(socket.lost(error, Phase::Exchange)),
        },
    }
}
