//! One end of a connection. Every wait on it is bounded, and its failures say who was waited for.

use super::super::lost::PeerLost;
use super::Peer;
use crate::terms::Phase;
use anyhow::{Context, Result, bail};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Asked of the kernel for Unix sockets, which grants what it allows; TCP sizes its own.
const BUFFER_BYTES: usize = 8 << 20;

/// Bytes that one call writes at most: enough to hide what a call costs.
const MOST_SENT: usize = 1 << 20;

/// Bytes that one call reads at most. While a longer one copies, TCP takes in nothing and its window
/// closes: reads of 64 MiB moved half as much. Unix sockets only pay for each call.
const MOST_READ_TCP: usize = 64 << 10;
const MOST_READ_UNIX: usize = 512 << 10;

/// A connection to one other process of the repeat.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    peer: Peer,
    silence: Duration,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(super) fn tcp(stream: TcpStream, peer: Peer, silence: Duration) -> Result<Self> {
        stream.set_nodelay(true).context("TCP_NODELAY")?;
        Self::of(Stream::Tcp(stream), peer, silence)
    }

    pub(super) fn unix(stream: UnixStream, peer: Peer, silence: Duration) -> Result<Self> {
        set_socket_send_buffer_size(&stream, BUFFER_BYTES).context("the size of a send buffer")?;
        set_socket_recv_buffer_size(&stream, BUFFER_BYTES).context("the size of a buffer")?;
        Self::of(Stream::Unix(stream), peer, silence)
    }

    fn of(stream: Stream, peer: Peer, silence: Duration) -> Result<Self> {
        let bound = Some(silence);
        match &stream {
            Stream::Tcp(tcp) => tcp
                .set_read_timeout(bound)
                .and_then(|()| tcp.set_write_timeout(bound)),
            Stream::Unix(unix) => unix
                .set_read_timeout(bound)
                .and_then(|()| unix.set_write_timeout(bound)),
        }
        .context("bounding the waits of a socket")?;
        Ok(Self {
            stream,
            peer,
            silence,
        })
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// How long a wait may last in which nothing moves.
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// Makes reads wait for ever, as a server does for workers that compute. The end of the connection
    /// still ends them.
    pub fn wait_for_ever(&mut self) -> Result<()> {
        match &self.stream {
            Stream::Tcp(tcp) => tcp.set_read_timeout(None),
            Stream::Unix(unix) => unix.set_read_timeout(None),
        }
        .context("unbounding the reads of a socket")
    }

    /// Makes reads and writes return at once, with [`ErrorKind::WouldBlock`] where they cannot go on.
    pub fn never_wait(&mut self) -> Result<()> {
        match &self.stream {
            Stream::Tcp(tcp) => tcp.set_nonblocking(true),
            Stream::Unix(unix) => unix.set_nonblocking(true),
        }
        .context("making a socket non-blocking")
    }

    /// Writes all bytes of all parts, one after the other.
    ///
    /// # Errors
    /// [`PeerLost`] where nothing moves any more.
    pub fn send(&mut self, parts: &[&[u8]], phase: Phase) -> Result<()> {
        let pieces = parts.iter().flat_map(|part| part.chunks(MOST_SENT));
        let mut slices: Vec<IoSlice> = pieces.map(IoSlice::new).collect();
        let mut left = &mut slices[..];
        // Skips parts that are empty.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            // A head goes with the first piece of what it stands before.
            let together = 2.min(left.len());
            match self.stream.write_vectored(&left[..together]) {
                Ok(0) => return Err(self.lost(ErrorKind::WriteZero.into(), phase)),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(error, phase)),
            }
        }
        Ok(())
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`PeerLost`] where nothing comes any more.
    pub fn receive(&mut self, bytes: &mut [u8], phase: Phase) -> Result<()> {
        let mut filled = 0;
        let most = match self.stream {
            Stream::Tcp(_) => MOST_READ_TCP,
            Stream::Unix(_) => MOST_READ_UNIX,
        };
        while filled < bytes.len() {
            let until = bytes.len().min(filled + most);
            match self.stream.read(&mut bytes[filled..until]) {
                Ok(0) => return Err(self.lost(ErrorKind::UnexpectedEof.into(), phase)),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(error, phase)),
            }
        }
        Ok(())
    }

    /// The failure of a read or write, as what it means for this process.
    pub fn lost(&self, error: io::Error, phase: Phase) -> anyhow::Error {
        let silent = match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Some(self.silence),
            ErrorKind::UnexpectedEof
            | ErrorKind::WriteZero
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted => None,
            _ => return anyhow::Error::new(error).context(format!("{phase} with {}", self.peer)),
        };
        anyhow::Error::new(PeerLost {
            peer: self.peer.to_string(),
            phase,
            silent,
        })
    }

    /// Hands an open file to the process at the other end of a Unix socket.
    pub fn send_descriptor(&mut self, file: BorrowedFd<'_>) -> Result<()> {
        let Stream::Unix(stream) = &self.stream else {
            bail!("only a Unix socket carries open files");
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let files = [file];
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
        let one = [IoSlice::new(b"f")];
        sendmsg(stream, &one, &mut ancillary, SendFlags::NOSIGNAL)
            .map_err(|error| self.lost(error.into(), Phase::Wait))?;
        Ok(())
    }

    /// Takes an open file from the process at the other end of a Unix socket.
    pub fn receive_descriptor(&mut self) -> Result<OwnedFd> {
        let Stream::Unix(stream) = &self.stream else {
            bail!("only a Unix socket carries open files");
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        let received = recvmsg(stream, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
            .map_err(|error| self.lost(error.into(), Phase::Wait))?;
        if received.bytes == 0 {
            return Err(self.lost(ErrorKind::UnexpectedEof.into(), Phase::Wait));
        }
        let file = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        file.with_context(|| format!("{} sent no open file where one was due", self.peer))
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }
}

impl Write for Socket {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(into),
            Stream::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(from),
            Stream::Unix(stream) => stream.write(from),
        }
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write_vectored(from),
            Stream::Unix(stream) => stream.write_vectored(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
