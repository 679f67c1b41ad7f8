//! How far a replica is, for whoever looks at the run.

use crate::protocol::Event;
use crate::worker::events;
use std::time::{Duration, Instant};

/// How often replica 0 tells how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Tells the harness how far replica 0 is: at its first step, so that the shortest run is seen while it goes on,
/// and now and then.
pub struct Progress {
    enabled: bool,
    told: Option<Instant>,
}

impl Progress {
    pub fn new(replica: usize) -> Self {
        Self {
            enabled: replica == 0,
            told: None,
        }
    }

    pub fn tell(&mut self, steps: u64) {
        events::note_steps(steps);
        let is_due = |told: Instant| told.elapsed() >= PROGRESS_EVERY;
        if self.enabled && self.told.is_none_or(is_due) {
            events::emit(&Event::Progress { steps });
            self.told = Some(Instant::now());
        }
    }
}
