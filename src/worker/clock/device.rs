//! The phases of a step on a GPU. In: bookings, as events on its queue. Out: seconds of each phase when a
//! window of steps has ended. Knows neither steps nor what the phases are of.

use crate::terms::Phase;
use crate::worker::gpu::{Event, Gpu};
use candle_core::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

/// What was booked on the queue of one GPU.
#[derive(Debug)]
pub struct DeviceClock {
    gpu: Gpu,
    /// Behind the last thing of the window before.
    origin: Event,
    marks: Vec<Mark>,
    /// Events that no mark has any more.
    spare: Vec<Event>,
    /// While a graph is captured.
    capture: Option<Boundaries>,
    /// What went wrong while nobody could be told.
    failure: Option<Error>,
    host_seconds: f64,
}

/// One booking.
#[derive(Debug)]
enum Mark {
    /// What came before the event.
    Until(Event, Phase),
    /// So many seconds of what comes before the next event.
    Part(Phase, f64),
    /// What came before the event was done by a graph.
    Graph(Event, Boundaries),
}

/// Where phases end within a graph. Its replays share the events: they tell of the last one.
#[derive(Clone, Debug, Default)]
pub struct Boundaries(Arc<Vec<(Event, Option<Phase>)>>);

type Phases = [f64; Phase::COUNT];

impl DeviceClock {
    /// Waits until the queue is idle.
    pub fn start(gpu: &Gpu) -> Result<Self> {
        gpu.synchronize()?;
        let origin = Event::timed(gpu)?;
        origin.record(gpu.queue())?;
        Ok(Self {
            gpu: gpu.clone(),
            origin,
            marks: Vec::new(),
            spare: Vec::new(),
            capture: None,
            failure: None,
            host_seconds: 0.0,
        })
    }

    /// Books what is on the queue since the last booking. The host took `host` for that.
    pub fn book(&mut self, phase: Phase, host: Duration) {
        if self.capture.is_some() {
            return self.bound(Some(phase));
        }
        if queues(phase) {
            self.host_seconds += host.as_secs_f64();
        }
        if let Some(event) = self.event_now() {
            self.marks.push(Mark::Until(event, phase));
        }
    }

    pub fn book_part(&mut self, phase: Phase, part: Duration) {
        self.marks.push(Mark::Part(phase, part.as_secs_f64()));
    }

    pub fn begin_capture(&mut self) {
        self.capture = Some(Boundaries::default());
        self.bound(None);
    }

    pub fn end_capture(&mut self) -> Option<Boundaries> {
        self.capture.take()
    }

    pub fn book_graph(&mut self, boundaries: &Boundaries, host: Duration) {
        self.host_seconds += host.as_secs_f64();
        if let Some(event) = self.event_now() {
            self.marks.push(Mark::Graph(event, boundaries.clone()));
        }
    }

    pub fn host_seconds(&self) -> f64 {
        self.host_seconds
    }

    /// Waits for the device. What was booked since the last call, in seconds of the device.
    pub fn finish(&mut self) -> Result<Phases> {
        self.gpu.synchronize()?;
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let phases = self.phases()?;
        let marks = self.marks.drain(..);
        self.spare.extend(marks.filter_map(|mark| match mark {
            Mark::Until(event, _) | Mark::Graph(event, _) => Some(event),
            Mark::Part(..) => None,
        }));
        self.origin.record(self.gpu.queue())?;
        Ok(phases)
    }

    fn phases(&self) -> Result<Phases> {
        let mut phases = [0.0; Phase::COUNT];
        let mut last = &self.origin;
        let mut parts = Vec::new();
        for mark in &self.marks {
            let (event, shares) = match mark {
                Mark::Part(phase, seconds) => {
                    parts.push((*phase, *seconds));
                    continue;
                }
                Mark::Until(event, phase) => (event, vec![(*phase, 1.0)]),
                Mark::Graph(event, boundaries) => (event, boundaries.shares()?),
            };
            let mut left = event.seconds_since(last)?.max(0.0);
            for (phase, seconds) in parts.drain(..) {
                let part = seconds.min(left);
                phases[phase as usize] += part;
                left -= part;
            }
            for (phase, share) in shares {
                phases[phase as usize] += share * left;
            }
            last = event;
        }
        Ok(phases)
    }

    /// An event behind all that is on the queue.
    fn event_now(&mut self) -> Option<Event> {
        let event = match self.spare.pop() {
            Some(event) => Ok(event),
            None => Event::timed(&self.gpu),
        };
        let recorded = event.and_then(|event| event.record(self.gpu.queue()).map(|()| event));
        self.or_fail(recorded)
    }

    /// Ends a phase of the graph that is captured. Its events are its own.
    fn bound(&mut self, phase: Option<Phase>) {
        let event = Event::timed(&self.gpu);
        let event = event.and_then(|event| event.record(self.gpu.queue()).map(|()| event));
        let event = self.or_fail(event);
        if let (Some(event), Some(Boundaries(list))) = (event, &mut self.capture) {
            let list =
                Arc::get_mut(list).expect("nobody else has a graph that is not captured yet");
            list.push((event, phase));
        }
    }

    fn or_fail(&mut self, event: Result<Event>) -> Option<Event> {
        match event {
            Ok(event) => Some(event),
            Err(error) => {
                self.failure.get_or_insert(error);
                None
            }
        }
    }
}

impl Boundaries {
    /// The phases of the last replay and what share of it each took.
    fn shares(&self) -> Result<Vec<(Phase, f64)>> {
        let mut seconds = Vec::new();
        for pair in self.0.windows(2) {
            if let [(before, _), (after, Some(phase))] = pair {
                seconds.push((*phase, after.seconds_since(before)?.max(0.0)));
            }
        }
        let all: f64 = seconds.iter().map(|(_, seconds)| seconds).sum();
        let share = |(phase, seconds)| (phase, if all > 0.0 { seconds / all } else { 0.0 });
        Ok(seconds.into_iter().map(share).collect())
    }
}

/// Whether the host puts work on the queue in this phase, and does not wait for anybody.
fn queues(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Copy | Phase::Distort | Phase::Forward | Phase::Backward | Phase::Apply
    )
}
