//! Ceilings of sockets: writes and reads of the sizes that move most, with nothing between them.

use super::pair::{self, Side};
use super::{Load, filled};
use crate::terms::Transport;
use anyhow::{Context, Result, bail, ensure};
use bytemuck::{cast_slice, cast_slice_mut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{
    Timeout, set_socket_recv_buffer_size, set_socket_send_buffer_size, set_socket_timeout,
};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Asked for Unix sockets, as the real exchange does; the kernel grants what it allows.
const BUFFER_BYTES: usize = 8 << 20;

/// Bytes that one call writes at most: enough to hide what a call costs.
const MOST_SENT: usize = 1 << 20;

/// Bytes that one call reads at most. While a longer one copies, TCP takes in nothing and the window
/// closes: reads of whole tensors of 64 MiB moved half as much. Unix sockets only pay for each call.
const MOST_READ_TCP: usize = 64 << 10;
const MOST_READ_UNIX: usize = 512 << 10;

/// Nothing moves for so long only if the other side has failed.
const PATIENCE: Duration = Duration::from_secs(10);

const GONE: &str = "the other side of the probe is gone";

/// All tensors from the first core to the second.
pub fn one_way(by: Transport, load: &Load, places: [usize; 2]) -> Result<Vec<f64>> {
    run(by, load, places, [End::send_all, End::receive_all])
}

/// And back after that.
pub fn both_ways(by: Transport, load: &Load, places: [usize; 2]) -> Result<Vec<f64>> {
    let there_and_back = |end: &mut End| {
        end.send_all()?;
        end.receive_all()
    };
    let back = |end: &mut End| {
        end.receive_all()?;
        end.send_all()
    };
    run(by, load, places, [there_and_back, back])
}

/// What two ranks of a ring send each other, half of the model twice, in both directions at a time.
pub fn all_reduce(by: Transport, load: &Load, places: [usize; 2]) -> Result<Vec<f64>> {
    // As one stream, in which no side ever waits for the other's last byte.
    let whole = Load {
        lengths: vec![load.elements() * load.again],
        again: 1,
    };
    run(by, &whole, places, [End::swap, End::swap])
}

/// What an end does in a round.
type Part = fn(&mut End) -> Result<()>;

fn run(
    by: Transport,
    load: &Load,
    places: [usize; 2],
    [ours, theirs]: [Part; 2],
) -> Result<Vec<f64>> {
    let [first, second] = connected(by)?;
    let most_read = match by {
        Transport::Tcp => MOST_READ_TCP,
        _ => MOST_READ_UNIX,
    };
    let end = |socket, part| {
        move || {
            Ok(End {
                socket,
                most_read,
                from: filled(&load.lengths),
                into: filled(&load.lengths),
                part,
            })
        }
    };
    pair::run(places, load.again, end(first, ours), end(second, theirs))
}

/// Both ends of a new connection.
fn connected(by: Transport) -> Result<[OwnedFd; 2]> {
    let ends = match by {
        Transport::Tcp => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening")?;
            let there = listener.local_addr().context("the address of a socket")?;
            let ours = TcpStream::connect(there).context("connecting to this host")?;
            let (theirs, _) = listener.accept().context("taking a connection")?;
            let both = [ours, theirs];
            both.iter()
                .try_for_each(|end| end.set_nodelay(true))
                .context("TCP_NODELAY")?;
            both.map(OwnedFd::from)
        }
        Transport::Unix => {
            let (ours, theirs) = UnixStream::pair().context("making a pair of sockets")?;
            let both = [ours, theirs].map(OwnedFd::from);
            for end in &both {
                set_socket_send_buffer_size(end, BUFFER_BYTES).context("a send buffer")?;
                set_socket_recv_buffer_size(end, BUFFER_BYTES).context("a receive buffer")?;
            }
            both
        }
        other => bail!("{other} is no socket"),
    };
    for end in &ends {
        for wait in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(end, wait, Some(PATIENCE)).context("bounding waits")?;
        }
    }
    Ok(ends)
}

/// One end, and what it sends and receives.
struct End {
    socket: OwnedFd,
    most_read: usize,
    from: Vec<Vec<f32>>,
    into: Vec<Vec<f32>>,
    part: Part,
}

impl Side for End {
    fn signal(&mut self) -> Result<()> {
        send_whole(&self.socket, &[1])
    }

    fn wait(&mut self) -> Result<()> {
        receive_whole(&self.socket, &mut [0], 1)
    }

    fn round(&mut self) -> Result<()> {
        (self.part)(self)
    }
}

impl End {
    fn send_all(&mut self) -> Result<()> {
        let mut tensors = self.from.iter();
        tensors.try_for_each(|tensor| send_whole(&self.socket, cast_slice(tensor)))
    }

    fn receive_all(&mut self) -> Result<()> {
        let (socket, most) = (&self.socket, self.most_read);
        let mut tensors = self.into.iter_mut();
        tensors.try_for_each(|tensor| receive_whole(socket, cast_slice_mut(tensor), most))
    }

    fn swap(&mut self) -> Result<()> {
        for tensor in 0..self.from.len() {
            self.swap_tensor(tensor)?;
        }
        Ok(())
    }

    /// Sends and receives at the same time: each side would wait for ever for the other to read first.
    fn swap_tensor(&mut self, tensor: usize) -> Result<()> {
        let from: &[u8] = cast_slice(&self.from[tensor]);
        let into: &mut [u8] = cast_slice_mut(&mut self.into[tensor]);
        let (mut sent, mut received) = (0, 0);
        while sent < from.len() || received < into.len() {
            let before = sent + received;
            if sent < from.len() {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                sent += at_once(send(&self.socket, first(&from[sent..], MOST_SENT), flags))?;
            }
            if received < into.len() {
                let room = first_mut(&mut into[received..], self.most_read);
                let read = recv(&self.socket, room, RecvFlags::DONTWAIT);
                ensure!(!matches!(read, Ok((0, _))), GONE);
                received += at_once(read.map(|(read, _)| read))?;
            }
            if sent + received == before {
                until_something_moves(&self.socket, sent < from.len(), received < into.len())?;
            }
        }
        Ok(())
    }
}

fn until_something_moves(socket: &OwnedFd, sends: bool, receives: bool) -> Result<()> {
    let mut events = PollFlags::empty();
    events.set(PollFlags::OUT, sends);
    events.set(PollFlags::IN, receives);
    let patience = Timespec::try_from(PATIENCE).context("a bound of ten seconds")?;
    let ready = poll(&mut [PollFd::new(socket, events)], Some(&patience));
    ensure!(ready.context("waiting for a socket")? > 0, "nothing moved");
    Ok(())
}

/// Bytes that moved without waiting.
fn at_once(moved: rustix::io::Result<usize>) -> Result<usize> {
    match moved {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        moved => moved.context("swapping bytes"),
    }
}

fn send_whole(socket: &OwnedFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match send(socket, first(bytes, MOST_SENT), SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("sending"),
        }
    }
    Ok(())
}

fn receive_whole(socket: &OwnedFd, mut bytes: &mut [u8], most: usize) -> Result<()> {
    while !bytes.is_empty() {
        match recv(socket, first_mut(bytes, most), RecvFlags::empty()) {
            Ok((0, _)) => bail!(GONE),
            Ok((read, _)) => bytes = &mut bytes[read..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("receiving"),
        }
    }
    Ok(())
}

fn first(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..most.min(bytes.len())]
}

fn first_mut(bytes: &mut [u8], most: usize) -> &mut [u8] {
    let length = most.min(bytes.len());
    &mut bytes[..length]
}
