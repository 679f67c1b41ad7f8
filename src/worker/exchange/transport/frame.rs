//! The head of every message. Whoever reads one knows which message may come and how long it may be;
//! anything else is refused.

use super::Socket;
use crate::terms::Phase;
use anyhow::{Result, bail};
use bytemuck::{Pod, Zeroable};

/// Version of handshake, heads and messages. Both sides must have the same.
pub const VERSION: u32 = 1;

/// First word of each head, in the byte order of its sender: a machine of the other order reads
/// something else.
const MAGIC: u32 = u32::from_ne_bytes(*b"xrun");

/// What stands before the bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Head {
    magic: u32,
    /// What the message is, as the topology counts its messages.
    pub kind: u32,
    /// What it is about: the number of a tensor or bucket.
    pub unit: u32,
    zero: u32,
    /// The step that it belongs to.
    pub step: u64,
    /// Bytes that follow.
    pub bytes: u64,
}

impl Head {
    pub fn new(kind: u32, unit: u32, step: u64, bytes: u64) -> Self {
        Self {
            magic: MAGIC,
            kind,
            unit,
            zero: 0,
            step,
            bytes,
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }

    /// The head in the first bytes of `bytes`.
    ///
    /// # Errors
    /// Where they are no head.
    pub fn parse(bytes: &[u8; size_of::<Self>()]) -> Result<Self> {
        let head: Self = bytemuck::pod_read_unaligned(bytes);
        if head.magic != MAGIC || head.zero != 0 {
            bail!("bytes came where the head of a message was due: {bytes:02x?}");
        }
        Ok(head)
    }

    /// Reads the next head from `socket`.
    ///
    /// # Errors
    /// Where the connection is lost, or what comes is no head.
    pub fn receive(socket: &mut Socket, phase: Phase) -> Result<Self> {
        let mut bytes = [0; size_of::<Self>()];
        socket.receive(&mut bytes, phase)?;
        Self::parse(&bytes)
    }

    /// Refuses a message that is longer or shorter than it has to be.
    pub fn expect_bytes(&self, bytes: u64) -> Result<()> {
        if self.bytes != bytes {
            bail!(
                "a message of {} bytes came where {bytes} are due (kind {}, unit {})",
                self.bytes,
                self.kind,
                self.unit
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_from_its_bytes() {
        let head = Head::new(2, 7, 41, 75 << 20);
        assert_eq!(
            Head::parse(head.as_bytes().try_into().unwrap()).unwrap(),
            head
        );
        head.expect_bytes(75 << 20).unwrap();
        let error = head.expect_bytes(5).unwrap_err().to_string();
        assert_eq!(
            error,
            "a message of 78643200 bytes came where 5 are due (kind 2, unit 7)"
        );
    }

    #[test]
    fn other_bytes_are_no_head() {
        let error = Head::parse(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r").unwrap_err();
        assert!(error.to_string().starts_with("bytes came where"));
    }
}
