//! How a rank waits for its neighbours: awake at first, since waking a thread of a virtual machine takes
//! longer than most waits, then asleep, and not for ever.

use super::link::{End, Receiver, Sender};
use crate::terms::Phase;
use anyhow::{Context, Result};
use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// At first the core is kept.
const SPIN: Duration = Duration::from_micros(3);

/// Then others may have it, but this thread comes back at once.
const YIELD: Duration = Duration::from_micros(60);

/// A wait, if there is one.
#[derive(Default)]
pub struct Patience {
    since: Option<Instant>,
    announced: bool,
}

impl Patience {
    /// Nothing could move: rests a little, or until one of the ends that are waited for can go on.
    ///
    /// # Errors
    /// [`PeerLost`](crate::worker::exchange::lost::PeerLost) where a neighbour is gone, or nothing could
    /// move for too long.
    pub fn rest(
        &mut self,
        next: &mut dyn Sender,
        before: &mut dyn Receiver,
        waits: (bool, bool),
    ) -> Result<()> {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited < SPIN {
            std::hint::spin_loop();
        } else if waited < YIELD {
            std::thread::yield_now();
        } else if !self.announced {
            next.announce_sleep();
            before.announce_sleep();
            self.announced = true;
        } else {
            // Whoever wakes this side takes the announcement away.
            self.announced = false;
            let mut ends: Vec<&mut dyn End> = Vec::with_capacity(2);
            // The one before is named first where both are silent: its numbers are due.
            if waits.1 {
                ends.push(before);
            }
            if waits.0 {
                ends.push(next);
            }
            sleep(&mut ends, waited)?;
        }
        Ok(())
    }

    /// Something has moved. How long nothing had.
    pub fn end(&mut self, next: &mut dyn Sender, before: &mut dyn Receiver) -> Option<Duration> {
        let since = self.since.take()?;
        self.announced = false;
        next.awake();
        before.awake();
        Some(since.elapsed())
    }
}

/// Sleeps until one of the ends may go on; they have been silent for `waited`.
fn sleep(ends: &mut [&mut dyn End], waited: Duration) -> Result<()> {
    let first = ends.first().context("nothing is waited for")?.socket();
    let Some(left) = first.silence().checked_sub(waited) else {
        return Err(first.lost(ErrorKind::TimedOut.into(), Phase::Exchange));
    };
    let left = Timespec::try_from(left).context("a silence beyond the clock")?;
    let polled = ends
        .iter()
        .map(|end| PollFd::new(end.socket(), end.wanted()));
    let mut polled: Vec<PollFd> = polled.collect();
    match poll(&mut polled, Some(&left)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error).context("waiting for a neighbour in the ring"),
    }
    let seen: Vec<bool> = polled.iter().map(|end| !end.revents().is_empty()).collect();
    for (end, _) in ends.iter_mut().zip(seen).filter(|(_, seen)| *seen) {
        end.hear()?;
    }
    Ok(())
}
