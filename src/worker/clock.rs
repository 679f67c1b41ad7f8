//! The one place where clocks are read for measurement.
//!
//! A replica on a CPU reads its clock when a part of a step is done. One on a GPU puts an event on the
//! GPU's queue instead, and goes on: what lies between two events is what the *device* did or waited for
//! meanwhile. Such a clock reads times at the end of a window of several steps, after the one
//! synchronisation of that window.

mod device;

use super::gpu::Gpu;
use crate::protocol::StepWindow;
use crate::terms::Phase;
use anyhow::Result;
use std::time::{Duration, Instant};

pub use device::Boundaries;
use device::DeviceClock;

/// Cuts the time of one replica's steps into phases. Whoever finishes a part of the step books all
/// time since the last booking, so that nothing is counted twice and the rest stays visible.
#[derive(Debug)]
pub struct StepClock {
    started: Instant,
    last: Instant,
    phases: [f64; Phase::COUNT],
    /// Steps that have ended since the start.
    steps: u64,
    /// Of a replica on a GPU.
    device: Option<DeviceClock>,
}

impl Default for StepClock {
    fn default() -> Self {
        Self::start()
    }
}

impl StepClock {
    /// Steps of a window where single ones are not timed: waiting for the device after each would keep
    /// the host from working ahead.
    pub const DEVICE_WINDOW: u64 = 10;

    /// Starts a step now.
    pub fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            last: now,
            phases: [0.0; Phase::COUNT],
            steps: 0,
            device: None,
        }
    }

    /// Starts a window now, whose phases are those of a GPU if there is one. Waits until it is idle.
    pub fn start_on(gpu: Option<&Gpu>) -> Result<Self> {
        let device = gpu.map(DeviceClock::start).transpose()?;
        Ok(Self {
            device,
            ..Self::start()
        })
    }

    /// When the present step or window started, which is when the one before has ended.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Books the time since the last booking to `phase`.
    pub fn book(&mut self, phase: Phase) {
        let now = Instant::now();
        match &mut self.device {
            Some(device) => device.book(phase, now - self.last),
            None => self.phases[phase as usize] += (now - self.last).as_secs_f64(),
        }
        self.last = now;
    }

    /// Books so much of the time since the last booking to `phase`, at most all of it. The rest goes to
    /// the next booking.
    pub fn book_part(&mut self, phase: Phase, part: Duration) {
        let part = part.min(self.last.elapsed());
        match &mut self.device {
            Some(device) => device.book_part(phase, part),
            None => self.phases[phase as usize] += part.as_secs_f64(),
        }
        self.last += part;
    }

    /// Notes the end of a step, and says whether its time can be told now: on a GPU at the end of a
    /// window only.
    pub fn end_step(&mut self) -> bool {
        self.steps += 1;
        self.device.is_none() || self.steps >= Self::DEVICE_WINDOW
    }

    /// Ends the step or the window, which began with step `first`, and starts the next one at the same
    /// instant. Waits for the device.
    pub fn finish(&mut self, replica: usize, first: u64) -> Result<StepWindow> {
        if let Some(device) = &mut self.device {
            self.phases = device.finish()?;
        }
        let now = Instant::now();
        let window = StepWindow {
            replica,
            first_step: first,
            steps: self.steps.max(1),
            seconds: (now - self.started).as_secs_f64(),
            phases: self.phases,
        };
        self.started = now;
        self.last = now;
        self.phases = [0.0; Phase::COUNT];
        self.steps = 0;
        Ok(window)
    }

    /// Steps that have ended since the start of the window.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// From now on bookings go into the graph that is captured.
    pub fn begin_capture(&mut self) {
        if let Some(device) = &mut self.device {
            device.begin_capture();
        }
    }

    /// The bookings that went into the graph; none on a CPU.
    pub fn end_capture(&mut self) -> Option<Boundaries> {
        self.device.as_mut()?.end_capture()
    }

    /// Books what a graph does that was put on the queue, phase by phase.
    pub fn book_graph(&mut self, boundaries: &Boundaries) {
        let now = Instant::now();
        if let Some(device) = &mut self.device {
            device.book_graph(boundaries, now - self.last);
        }
        self.last = now;
    }

    /// Time in which the host was busy putting work on the device's queue; none on a CPU.
    pub fn host_seconds(&self) -> Option<f64> {
        self.device.as_ref().map(DeviceClock::host_seconds)
    }

    /// How steps are timed, in words.
    pub fn policy(&self) -> String {
        match self.device {
            None => "each step".to_owned(),
            Some(_) => format!("windows of {} steps, device events", Self::DEVICE_WINDOW),
        }
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
        let window = clock.finish(1, 7).unwrap();
        assert_eq!((window.replica, window.first_step, window.steps), (1, 7, 1));
        assert!(window.phases.iter().sum::<f64>() <= window.seconds);
        assert_eq!(clock.finish(0, 8).unwrap().phases, [0.0; Phase::COUNT]);
    }
}
