//! Another process that does not answer, as an error that the harness can make a diagnosis of.

use crate::protocol::Waiting;
use crate::terms::Phase;
use std::fmt;
use std::time::Duration;

/// The other side of a link is gone or silent.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerLost {
    /// `server 0`, `worker 3`.
    pub peer: String,
    pub phase: Phase,
    /// For how long nothing has come or gone; none where the connection was closed.
    pub silent: Option<Duration>,
}

impl PeerLost {
    /// What the harness is told. `step` counts steps that were done.
    pub fn waiting(&self, step: u64) -> Waiting {
        Waiting {
            peer: self.peer.clone(),
            phase: self.phase,
            step,
            silent_seconds: self.silent.map(|silent| silent.as_secs_f64()),
        }
    }
}

impl fmt::Display for PeerLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, phase, .. } = self;
        match self.silent {
            Some(silent) => write!(
                f,
                "nothing came from {peer} in {:.1} s of {phase}",
                silent.as_secs_f64()
            ),
            None => write!(f, "{peer} closed the connection during {phase}"),
        }
    }
}

impl std::error::Error for PeerLost {}
