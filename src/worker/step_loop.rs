//! The one step loop. Topologies, models and inputs differ; the order of a step and its clock do not.

use super::clock::StepClock;
use super::cores::awake;
use super::events;
use super::exchange::Exchange;
use super::input::{Batch, Input};
use super::layer::Tape;
use super::model::Model;
use crate::protocol::{Event, StepWindow};
use crate::terms::Phase;
use anyhow::{Context, Result};
use candle_core::Tensor;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// At most this many windows a replica are sent, however many steps were asked for.
const MAX_WINDOWS: u64 = 1000;

/// How often replica 0 tells how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// One replica's way through its steps.
pub struct StepLoop {
    pub replica: usize,
    pub model: Arc<dyn Model>,
    pub input: Box<dyn Input>,
    pub exchange: Box<dyn Exchange>,
    pub tape: Tape,
    /// Where all replicas of the worker meet after warm-up, so that their measured steps begin together.
    pub start_line: Arc<Barrier>,
    pub warmup_steps: u64,
    pub steps: u64,
}

/// What the loop saw. Losses are those of the first step of all and of the last.
#[derive(Debug, Default)]
pub struct Seen {
    pub windows: Vec<StepWindow>,
    pub examples: u64,
    pub label_sum: u64,
    pub first_loss: Option<f64>,
    pub last_loss: Option<f64>,
    pub first_step_seconds: f64,
    pub exchanged_bytes: u64,
    pub measured: Option<(Instant, Instant)>,
}

impl StepLoop {
    /// Runs warm-up and measured steps. Each step starts where the one before has ended, so that no
    /// time is lost between them.
    pub fn run(&mut self) -> Result<Seen> {
        let mut seen = Seen::default();
        self.warm_up(&mut seen)?;
        let exchanged_before = self.exchange.exchanged_bytes();
        self.start_line.wait();
        let mut progress = Progress::new(self.replica, self.warmup_steps);
        let window_steps = self.steps.div_ceil(MAX_WINDOWS).max(1);
        let mut clock = StepClock::start();
        let from = clock.started();
        for step in 0..self.steps {
            self.step(&mut clock, &mut seen)
                .with_context(|| format!("in step {step}"))?;
            seen.record(clock.finish(self.replica, step), window_steps);
            progress.tell(step + 1);
        }
        seen.measured = Some((from, clock.started()));
        seen.exchanged_bytes = self.exchange.exchanged_bytes() - exchanged_before;
        Ok(seen)
    }

    /// False for the null model.
    pub fn has_parameters(&self) -> bool {
        !self.model.parameters().is_empty()
    }

    fn warm_up(&mut self, seen: &mut Seen) -> Result<()> {
        let mut progress = Progress::new(self.replica, 0);
        let mut unmeasured = Seen::default();
        for step in 0..self.warmup_steps {
            let mut clock = StepClock::start();
            self.step(&mut clock, &mut unmeasured)
                .with_context(|| format!("in warm-up step {step}"))?;
            if step == 0 {
                seen.first_step_seconds = clock.finish(self.replica, step).seconds;
                seen.first_loss = unmeasured.first_loss;
            }
            progress.tell(step + 1);
        }
        Ok(())
    }

    /// One update of the parameters.
    fn step(&mut self, clock: &mut StepClock, seen: &mut Seen) -> Result<()> {
        let batch = self.input.next(clock).context("taking a batch")?;
        seen.examples += batch.examples as u64;
        seen.label_sum += batch.label_sum;
        awake(|| self.train(&batch, clock, seen))
    }

    /// Forward, backward and update.
    fn train(&mut self, batch: &Batch, clock: &mut StepClock, seen: &mut Seen) -> Result<()> {
        self.tape.rewind();
        let loss = self
            .model
            .loss(&mut self.tape, batch)
            .context("computing the loss")?;
        clock.book(Phase::Forward);
        let Some(loss) = loss else {
            return Ok(());
        };
        let gradients = self.gradients().context("computing gradients")?;
        clock.book(Phase::Backward);
        self.exchange
            .update(gradients, clock)
            .context("updating the parameters")?;
        seen.note_loss(loss)
    }

    /// Gradients of all variables in name order.
    fn gradients(&mut self) -> Result<Vec<Tensor>> {
        self.tape.backward()?;
        self.model
            .parameters()
            .iter()
            .map(|(name, variable)| {
                let gradient = self.tape.gradient(variable).cloned();
                gradient.with_context(|| format!("variable {name} has no gradient"))
            })
            .collect()
    }
}

impl Seen {
    fn note_loss(&mut self, value: f64) -> Result<()> {
        anyhow::ensure!(
            value.is_finite(),
            "the loss became {value}: lower model.learning_rate, or look at the input"
        );
        self.first_loss.get_or_insert(value);
        self.last_loss = Some(value);
        Ok(())
    }

    /// Adds a step to the present window, or opens the next one.
    fn record(&mut self, step: StepWindow, window_steps: u64) {
        match self.windows.last_mut() {
            Some(window) if window.steps < window_steps => {
                window.steps += step.steps;
                window.seconds += step.seconds;
                for (sum, seconds) in window.phases.iter_mut().zip(step.phases) {
                    *sum += seconds;
                }
            }
            _ => self.windows.push(step),
        }
        if self.first_step_seconds == 0.0 {
            self.first_step_seconds = step.seconds;
        }
    }
}

/// Tells the harness now and then how far replica 0 is.
struct Progress {
    enabled: bool,
    done_before: u64,
    told: Instant,
}

impl Progress {
    fn new(replica: usize, done_before: u64) -> Self {
        Self {
            enabled: replica == 0,
            done_before,
            told: Instant::now(),
        }
    }

    fn tell(&mut self, steps: u64) {
        if self.enabled && self.told.elapsed() >= PROGRESS_EVERY {
            events::emit(&Event::Progress {
                steps: self.done_before + steps,
            });
            self.told = Instant::now();
        }
    }
}
