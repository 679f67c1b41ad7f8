//! How far a server is: updates so far and, where it waits for all workers, whose gradients the
//! present update is made of. Knows no numbers.
//!
//! With `update = "sync"` update number `g` is the mean of the first `needed` gradients whose
//! parameters had seen `g` updates. One that comes later is dropped as a whole, on this server; all
//! servers get the same gradients, so each finishes every update.

use anyhow::{Result, bail};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Counts shared by all connections of a server.
pub struct Progress {
    units: usize,
    /// Gradients of one update; none where each gradient is an update.
    needed: Option<usize>,
    /// How long a connection waits for others.
    patience: Duration,
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    updates: u64,
    /// Gradients of the present update.
    admitted: usize,
    /// Units that have had the present update.
    applied: usize,
    /// Workers that have pulled, and the updates when the last of them did for the first time.
    pulled: usize,
    alone: u64,
    closed: bool,
}

impl Progress {
    pub fn new(units: usize, needed: Option<usize>, patience: Duration) -> Self {
        Self {
            units,
            needed,
            patience,
            counts: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Gradients of one update; none where each gradient is an update.
    pub fn needed(&self) -> Option<usize> {
        self.needed
    }

    /// Updates so far, once there are at least so many.
    ///
    /// # Errors
    /// Where they do not come in time, or another connection has failed.
    pub fn wait_for(&self, updates: u64) -> Result<u64> {
        self.reach(updates).map(|counts| counts.updates)
    }

    /// Whether a gradient is part of the present update: its parameters had seen `round` updates.
    /// Some unit of it may be known to have had more updates than this server has finished.
    pub fn admit(&self, round: u64) -> Result<bool> {
        let Some(needed) = self.needed else {
            return Ok(true);
        };
        let mut counts = self.reach(round)?;
        let admitted = counts.updates == round && counts.admitted < needed;
        if admitted {
            counts.admitted += 1;
            self.finish_update(&mut counts, needed);
        }
        Ok(admitted)
    }

    /// One unit has had the present update.
    pub fn applied(&self) {
        if let Some(needed) = self.needed {
            let mut counts = self.lock();
            counts.applied += 1;
            self.finish_update(&mut counts, needed);
        }
    }

    /// A whole gradient has come and was used. Returns updates before it.
    pub fn used(&self) -> u64 {
        let mut counts = self.lock();
        let before = counts.updates;
        if self.needed.is_none() {
            counts.updates += 1;
        }
        before
    }

    /// One more of the workers has pulled for the first time.
    pub fn first_pull(&self) {
        let mut counts = self.lock();
        counts.pulled += 1;
        counts.alone = counts.updates;
    }

    /// Updates so far, and those when the last worker pulled first.
    pub fn totals(&self) -> (u64, u64) {
        let counts = self.lock();
        (counts.updates, counts.alone)
    }

    /// Ends all waits: a connection has failed.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn finish_update(&self, counts: &mut Counts, needed: usize) {
        if counts.admitted == needed && counts.applied == self.units {
            counts.updates += 1;
            (counts.admitted, counts.applied) = (0, 0);
            self.changed.notify_all();
        }
    }

    fn reach(&self, updates: u64) -> Result<MutexGuard<'_, Counts>> {
        let deadline = Instant::now() + self.patience;
        let mut counts = self.lock();
        while counts.updates < updates && !counts.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!(
                    "update {updates} was waited for, and after {:.0} s there are {}: workers are \
                     missing",
                    self.patience.as_secs_f64(),
                    counts.updates
                );
            }
            let waited = self.changed.wait_timeout(counts, left);
            counts = waited.expect("no thread panics while it holds this lock").0;
        }
        if counts.closed {
            bail!("another connection of this server has failed");
        }
        Ok(counts)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        let counts = self.counts.lock();
        counts.expect("no thread panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[test]
    fn an_update_takes_the_first_gradients_and_drops_the_rest() {
        let progress = Progress::new(2, Some(2), SOON);
        assert!(progress.admit(0).unwrap());
        progress.applied();
        assert!(progress.admit(0).unwrap());
        assert!(!progress.admit(0).unwrap(), "two are enough");
        assert_eq!(progress.wait_for(0).unwrap(), 0);
        progress.applied();
        assert_eq!(progress.wait_for(1).unwrap(), 1);
        assert!(!progress.admit(0).unwrap(), "its step is over");
        assert!(progress.admit(1).unwrap());
    }

    #[test]
    fn a_server_without_units_counts_like_the_others() {
        let progress = Progress::new(0, Some(2), SOON);
        assert!(progress.admit(0).unwrap() && progress.admit(0).unwrap());
        assert_eq!(progress.wait_for(1).unwrap(), 1);
    }

    #[test]
    fn each_gradient_is_an_update_where_nobody_waits() {
        let progress = Progress::new(2, None, SOON);
        assert!(progress.admit(0).unwrap());
        assert_eq!(progress.used(), 0);
        progress.first_pull();
        assert_eq!(progress.used(), 1);
        assert_eq!(progress.totals(), (2, 1));
    }

    #[test]
    fn waits_end_in_time_and_when_another_connection_fails() {
        let progress = Progress::new(1, Some(1), SOON);
        let error = progress.wait_for(1).unwrap_err().to_string();
        assert!(error.starts_with("update 1 was waited for"), "{error}");
        let patient = Progress::new(1, Some(1), Duration::from_secs(60));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| patient.admit(1));
            patient.close();
            let error = waiter.join().unwrap().unwrap_err().to_string();
            assert!(error.starts_with("another connection"), "{error}");
        });
    }
}
