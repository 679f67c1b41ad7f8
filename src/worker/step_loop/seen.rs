//! What a step loop saw. In: steps, windows and losses. Out: what a replica reports. Knows no clock.

use crate::protocol::{LinkReport, StepWindow};
use crate::worker::model::Loss;
use anyhow::{Context, Result};
use std::time::Instant;

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
    /// In measured steps.
    pub links: Vec<LinkReport>,
    /// Measured steps.
    pub steps: u64,
    /// Warm-up included.
    pub total_steps: u64,
    pub global_steps: u64,
    pub measured: Option<(Instant, Instant)>,
    /// How steps were timed, in words.
    pub timing: String,
    /// In measured steps, on a GPU.
    pub queued: Queued,
    /// Of the last step, where the host does not know it yet.
    pending_loss: Option<Loss>,
}

/// What a replica has put on the queue of its GPU in measured steps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Queued {
    pub launches: u64,
    pub graph_launches: u64,
    /// Time in which the host was busy with that.
    pub host_seconds: f64,
}

impl Queued {
    pub fn since(self, before: Self) -> Self {
        Self {
            launches: self.launches - before.launches,
            graph_launches: self.graph_launches - before.graph_launches,
            host_seconds: self.host_seconds - before.host_seconds,
        }
    }
}

impl Seen {
    /// Takes the loss of a step. The host waits for the first one; a later one of a device stays there
    /// until somebody asks for it.
    pub fn note_loss(&mut self, loss: Loss, later: bool) -> Result<()> {
        self.pending_loss = Some(loss);
        if later && self.first_loss.is_some() {
            return Ok(());
        }
        self.take_pending_loss()
    }

    pub fn take_pending_loss(&mut self) -> Result<()> {
        let Some(loss) = self.pending_loss.take() else {
            return Ok(());
        };
        let value = loss.value().context("reading the loss")?;
        anyhow::ensure!(
            value.is_finite(),
            "the loss became {value}: lower model.learning_rate, or look at the input"
        );
        self.first_loss.get_or_insert(value);
        self.last_loss = Some(value);
        Ok(())
    }

    /// Adds a step to the present window, or opens the next one.
    pub fn record(&mut self, step: StepWindow, window_steps: u64) {
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
            self.first_step_seconds = step.seconds / step.steps as f64;
        }
    }
}
