//! The messages between a worker and a server. A worker pulls, pushes and says goodbye; a server
//! answers pulls. Messages of one connection are handled in order, so that a pull sees the worker's
//! own pushes.
//!
//! | from   | message   | unit | step                             | numbers |
//! |--------|-----------|------|----------------------------------|---------|
//! | worker | `Pull`    |      | updates that it waits for        |         |
//! | server | `Answer`  |      | updates so far                   |         |
//! | server | `Numbers` | each | updates of the unit              | weights |
//! | worker | `Release` | some | (raw shared memory) copied up to it |      |
//! | worker | `Push`    | each, in any order | that it pulled     | gradient |
//! | worker | `End`     |      | that it pulled                   |         |
//! | worker | `Goodbye` |      |                                  |         |

use crate::terms::Phase;
use anyhow::{Error, bail};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    Pull = 1,
    Answer,
    Numbers,
    Release,
    Push,
    End,
    Goodbye,
}

impl Kind {
    /// What a worker is busy with while such a message moves.
    pub fn phase(self) -> Phase {
        match self {
            Self::Push | Self::End | Self::Goodbye => Phase::Push,
            Self::Pull | Self::Answer | Self::Numbers | Self::Release => Phase::Pull,
        }
    }
}

impl TryFrom<u32> for Kind {
    type Error = Error;

    fn try_from(number: u32) -> Result<Self, Error> {
        use Kind::*;
        let kinds = [Pull, Answer, Numbers, Release, Push, End, Goodbye];
        match kinds.into_iter().find(|kind| *kind as u32 == number) {
            Some(kind) => Ok(kind),
            None => bail!("no message between workers and servers is of kind {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_back_from_their_numbers_and_others_are_refused() {
        for number in 1..=7 {
            assert_eq!(Kind::try_from(number).unwrap() as u32, number);
        }
        for number in [0, 8, u32::MAX] {
            assert!(Kind::try_from(number).is_err());
        }
    }
}
