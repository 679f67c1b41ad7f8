//! How two processes of a repeat find each other. The one that listens tells its address to the
//! harness; the one that calls shows the token of the repeat, and who it is. Callers without it are
//! sent away with a message, and the listener goes on.

use super::frame::VERSION;
use super::{Peer, Socket};
use crate::terms::{RoleName, Transport};
use anyhow::{Context, Result, bail, ensure};
use bytemuck::{Pod, Zeroable};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// How long a caller may take to say who it is.
const GREETING: Duration = Duration::from_secs(2);

/// What the processes of one repeat alone know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// From 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self> {
        ensure!(
            text.len() == 64 && text.is_ascii(),
            "a token is 64 hexadecimal digits"
        );
        let mut token = [0; 32];
        for (byte, digits) in token.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).expect("ASCII is UTF-8");
            *byte = u8::from_str_radix(digits, 16).context("a token is hexadecimal digits")?;
        }
        Ok(Self(token))
    }

    /// In the same time whatever differs.
    fn matches(&self, other: &[u8; 32]) -> bool {
        let differences = self.0.iter().zip(other).map(|(a, b)| a ^ b);
        differences.fold(0, |all, one| all | one) == 0
    }
}

/// What a caller says first.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Hello {
    magic: [u8; 8],
    version: u32,
    role: u32,
    rank: u64,
    token: [u8; 32],
}

/// What it is answered.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Answer {
    version: u32,
    welcome: u32,
}

const MAGIC: [u8; 8] = *b"xrunlink";

/// Where a process waits for others to call.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Listens at a place that nobody else has: a port of the loopback interface, or an abstract name.
    pub fn bind(transport: Transport, token: &Token, me: Peer) -> Result<Self> {
        let listener = match transport {
            Transport::Tcp => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(Self::Tcp),
            _ => {
                let run: String = token.0[..8].iter().map(|b| format!("{b:02x}")).collect();
                let name = format!("xrun-{run}-{}-{}", me.role, me.rank);
                UnixAddr::from_abstract_name(name)
                    .and_then(|address| UnixListener::bind_addr(&address))
                    .map(Self::Unix)
            }
        };
        let listener = listener.context("listening for other processes")?;
        match &listener {
            Self::Tcp(tcp) => tcp.set_nonblocking(true),
            Self::Unix(unix) => unix.set_nonblocking(true),
        }
        .context("making a listener non-blocking")?;
        Ok(listener)
    }

    /// What [`connect`] needs: `tcp 127.0.0.1:4711`, `unix xrun-…-server-0`.
    pub fn address(&self) -> Result<String> {
        Ok(match self {
            Self::Tcp(tcp) => format!("tcp {}", tcp.local_addr()?),
            Self::Unix(unix) => {
                let address = unix.local_addr()?;
                let name = address.as_abstract_name().unwrap_or_default();
                format!("unix {}", String::from_utf8_lossy(name))
            }
        })
    }

    /// The next caller that knows the token. `silence` bounds its later waits.
    ///
    /// # Errors
    /// Where none has called at `deadline`.
    pub fn accept(&self, token: &Token, deadline: Instant, silence: Duration) -> Result<Socket> {
        loop {
            self.wait_for_a_caller(deadline)?;
            match self.greet(token, silence) {
                Ok(socket) => return Ok(socket),
                Err(error) => eprintln!("a caller was sent away: {error:#}"),
            }
        }
    }

    fn wait_for_a_caller(&self, deadline: Instant) -> Result<()> {
        ensure!(
            self.is_called(deadline)?,
            "the other processes of the repeat have not called in time"
        );
        Ok(())
    }

    /// Waits until somebody calls. False where nobody has at `deadline`.
    pub fn is_called(&self, deadline: Instant) -> Result<bool> {
        let file = match self {
            Self::Tcp(tcp) => tcp.as_fd(),
            Self::Unix(unix) => unix.as_fd(),
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).context("a deadline beyond the clock")?;
            match poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("waiting for other processes"),
            }
        }
    }

    fn greet(&self, token: &Token, silence: Duration) -> Result<Socket> {
        match self {
            Self::Tcp(tcp) => {
                let (mut stream, _) = tcp.accept().context("taking a call")?;
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(GREETING))?;
                let peer = admit(&mut stream, token)?;
                Socket::tcp(stream, peer, silence)
            }
            Self::Unix(unix) => {
                let (mut stream, _) = unix.accept().context("taking a call")?;
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(GREETING))?;
                let peer = admit(&mut stream, token)?;
                Socket::unix(stream, peer, silence)
            }
        }
    }
}

/// Calls the process that listens at `address`, which is that of `peer`.
///
/// # Errors
/// Where nobody answers there, or does not want this process.
pub fn connect(
    address: &str,
    token: &Token,
    (me, peer): (Peer, Peer),
    silence: Duration,
) -> Result<Socket> {
    let calling = || format!("calling {peer} at {address}");
    match address.split_once(' ') {
        Some(("tcp", place)) => {
            let place: SocketAddr = place.parse().with_context(calling)?;
            let mut stream = TcpStream::connect_timeout(&place, GREETING).with_context(calling)?;
            stream.set_read_timeout(Some(GREETING))?;
            introduce(&mut stream, token, me).with_context(calling)?;
            Socket::tcp(stream, peer, silence)
        }
        Some(("unix", name)) => {
            let place = UnixAddr::from_abstract_name(name).with_context(calling)?;
            let mut stream = UnixStream::connect_addr(&place).with_context(calling)?;
            stream.set_read_timeout(Some(GREETING))?;
            introduce(&mut stream, token, me).with_context(calling)?;
            Socket::unix(stream, peer, silence)
        }
        _ => bail!("`{address}` is no address of {peer}"),
    }
}

fn introduce(stream: &mut (impl Read + Write), token: &Token, me: Peer) -> Result<()> {
    let hello = Hello {
        magic: MAGIC,
        version: VERSION,
        role: me.role as u32,
        rank: me.rank as u64,
        token: token.0,
    };
    stream.write_all(bytemuck::bytes_of(&hello))?;
    let mut answer = Answer::zeroed();
    stream
        .read_exact(bytemuck::bytes_of_mut(&mut answer))
        .context("it hung up: it is not of this repeat")?;
    ensure!(
        answer.version == VERSION,
        "it speaks version {} of the exchange and this process version {VERSION}: build both from \
         the same sources",
        answer.version
    );
    ensure!(
        answer.welcome == 1,
        "it does not know the token of this repeat"
    );
    Ok(())
}

/// Reads who calls, and answers.
fn admit(stream: &mut (impl Read + Write), token: &Token) -> Result<Peer> {
    let mut hello = Hello::zeroed();
    stream
        .read_exact(bytemuck::bytes_of_mut(&mut hello))
        .context("it did not say who it is")?;
    let refusal = refusal(&hello, token);
    let answer = Answer {
        version: VERSION,
        welcome: u32::from(refusal.is_none()),
    };
    if hello.magic == MAGIC {
        stream.write_all(bytemuck::bytes_of(&answer))?;
    }
    if let Some(refusal) = refusal {
        bail!(refusal);
    }
    let role = match hello.role {
        role if role == RoleName::Server as u32 => RoleName::Server,
        _ => RoleName::Worker,
    };
    Ok(Peer {
        role,
        rank: hello.rank as usize,
    })
}

fn refusal(hello: &Hello, token: &Token) -> Option<String> {
    if hello.magic != MAGIC {
        return Some("it is no process of xrun".into());
    }
    if hello.version != VERSION {
        return Some(format!(
            "it speaks version {} of the exchange, this process version {VERSION}",
            hello.version
        ));
    }
    (!token.matches(&hello.token)).then(|| "it has not the token of this repeat".into())
}

#[cfg(test)]
mod tests;
