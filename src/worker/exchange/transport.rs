//! What carries bytes between the processes of one repeat. In: bytes where they lie. Out: bytes where
//! they are used. Knows neither parameters nor topologies.
//!
//! A link is a [`Socket`], TCP or Unix, whose ends have shown each other the token of the repeat. With
//! shared memory the socket carries small messages alone, and a [`Segment`] on each side the rest.
//! Neither Unix sockets nor segments have a name in the file system: when the last process that has
//! them is gone, so are they.

pub mod frame;
mod handshake;
pub mod pipe;
pub mod segment;
mod socket;

pub use handshake::{Listener, Token, connect};
pub use segment::Segment;
pub use socket::Socket;

use crate::spec::settings::Settings;
use crate::terms::{RoleName, Transport};
use std::fmt;
use std::time::Duration;

/// One process of a repeat, as others call it: `server 0`, `worker 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    pub role: RoleName,
    pub rank: usize,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.rank)
    }
}

/// What carries the bytes of a cell whose processes are all on one host, as here.
pub fn resolve(settings: &Settings) -> Transport {
    match settings.transport {
        Transport::Auto => Transport::SharedMemory,
        declared => declared,
    }
}

/// Whether workers on GPUs sum by NCCL, if their program has it: it refuses two ranks that share a GPU, and a
/// worker does not know the GPUs of others. What tells it that they may be its own ones is `devices.share_devices`.
pub fn takes_nccl(settings: &Settings) -> bool {
    match settings.transport {
        Transport::Nccl => true,
        Transport::Auto => !settings.share_devices,
        Transport::SharedMemory | Transport::Unix | Transport::Tcp => false,
    }
}

/// A link on which nothing has moved for so long is given up, though the repeat may last longer.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// How long a link may stay silent while this process waits for it.
pub fn silence(settings: &Settings) -> Duration {
    LONGEST_SILENCE.min(settings.timeout / 2)
}
