//! How far a replica is, for whoever looks at the run.

use crate::protocol::Event;
use crate::worker::events;
use std::time::{Duration, Instant};

/// How often replica 0 tells how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Tells the harness now and then how far replica 0 is.
pub struct Progress {
    enabled: bool,
    told: Instant,
}

impl Progress {
    pub fn new(replica: usize) -> Self {
        Self {
            enabled: replica == 0,
            told: Instant::now(),
        }
    }

    pub fn tell(&mut self, steps: u64) {
        events::note_steps(steps);
        if self.enabled && self.told.elapsed() >= PROGRESS_EVERY {
            events::emit(&Event::Progress { steps });
            self.told = Instant::now();
        }
    }
}
