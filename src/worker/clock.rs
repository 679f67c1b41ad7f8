//! The one place where clocks are read for measurement.

use crate::protocol::StepWindow;
use crate::terms::Phase;
use std::time::{Duration, Instant};

/// How [`StepClock`] times steps, in the words of a report.
pub const EACH_STEP: &str = "each step";

/// Cuts the time of one replica's steps into phases. Whoever finishes a part of the step books all
/// time since the last booking, so that nothing is counted twice and the rest stays visible.
#[derive(Debug)]
pub struct StepClock {
    started: Instant,
    last: Instant,
    phases: [f64; Phase::COUNT],
}

impl Default for StepClock {
    fn default() -> Self {
        Self::start()
    }
}

impl StepClock {
    /// Starts a step now.
    pub fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            last: now,
            phases: [0.0; Phase::COUNT],
        }
    }

    /// When the present step started, which is when the one before has ended.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Books the time since the last booking to `phase`.
    pub fn book(&mut self, phase: Phase) {
        let now = Instant::now();
        self.phases[phase as usize] += (now - self.last).as_secs_f64();
        self.last = now;
    }

    /// Books so much of the time since the last booking to `phase`, at most all of it. The rest goes to
    /// the next booking.
    pub fn book_part(&mut self, phase: Phase, part: Duration) {
        let part = part.min(self.last.elapsed());
        self.phases[phase as usize] += part.as_secs_f64();
        self.last += part;
    }

    /// Ends the step and starts the next one at the same instant.
    pub fn finish(&mut self, replica: usize, step: u64) -> StepWindow {
        let now = Instant::now();
        let window = StepWindow {
            replica,
            first_step: step,
            steps: 1,
            seconds: (now - self.started).as_secs_f64(),
            phases: self.phases,
        };
        *self = Self {
            started: now,
            last: now,
            phases: [0.0; Phase::COUNT],
        };
        window
    }
}

/// Does `work`, and says how many seconds it took.
pub fn timed<R>(work: impl FnOnce() -> R) -> (R, f64) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_never_exceed_the_step() {
        let mut clock = StepClock::start();
        for phase in [Phase::InputWait, Phase::Forward, Phase::InputWait] {
            clock.book(phase);
            clock.book_part(Phase::Wait, Duration::from_secs(1));
        }
        let window = clock.finish(1, 7);
        assert_eq!((window.replica, window.first_step, window.steps), (1, 7, 1));
        assert!(window.phases.iter().sum::<f64>() <= window.seconds);
        assert_eq!(clock.finish(0, 8).phases, [0.0; Phase::COUNT]);
    }
}
