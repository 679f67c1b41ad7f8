//! The one step loop. Topologies, models, inputs and devices differ; the order of a step and its clock do
//! not. On a GPU a step only puts work on its queue, and the loop waits for it at the end of a window; a
//! pass may be captured in a graph, which is put on the queue as a whole from then on.

mod graphs;
mod pace;
mod progress;
mod seen;

pub use graphs::Graphs;
pub use pace::Pace;
pub use seen::{Queued, Seen};

use super::checkpoint::Checkpoints;
use super::clock::StepClock;
use super::cores::awake;
use super::exchange::group::Member;
use super::gpu::Gpu;
use super::input::{Batch, Input};
use super::layer::Tape;
use super::model::Model;
use crate::protocol::LinkReport;
use crate::terms::Phase;
use anyhow::{Context, Result};
use candle_core::{Tensor, TensorId};
use graphs::{Captured, Pass};
use progress::Progress;
use std::collections::HashMap;
use std::sync::{Arc, Barrier};

/// At most this many windows a replica are sent, however many steps were asked for.
const MAX_WINDOWS: u64 = 1000;

/// One replica's way through its steps.
pub struct StepLoop {
    pub replica: usize,
    pub model: Arc<dyn Model>,
    pub input: Box<dyn Input>,
    pub tape: Tape,
    /// Before the exchange, whose ranks of NCCL they use, so that they end first.
    pub graphs: Graphs,
    pub exchange: Member,
    /// Where all replicas of the worker meet after warm-up, so that their measured steps begin together.
    pub start_line: Arc<Barrier>,
    pub pace: Pace,
    /// Each variable's place in name order.
    pub places: HashMap<TensorId, usize>,
    /// Of the first replica of rank 0, where the settings ask for checkpoints.
    pub checkpoints: Option<Checkpoints>,
}

/// Whether a step was done, or the end has come before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Step,
    Nothing,
}

impl StepLoop {
    /// Runs warm-up and measured steps. Each step starts where the one before has ended, so that no
    /// time is lost between them.
    pub fn run(&mut self) -> Result<Seen> {
        let mut seen = Seen::default();
        let warmed_up = self.warm_up(&mut seen)?;
        let before = self.exchange.exchanged_bytes();
        let links_before = self.exchange.links();
        self.start_line.wait();
        let mut progress = Progress::new(self.replica);
        let window_steps = self.window_steps();
        let mut clock = StepClock::start_on(self.tape.gpu())?;
        let (from, queued_before) = (clock.started(), self.queued(&clock));
        while warmed_up && seen.steps < self.pace.steps {
            let step = seen.steps;
            let done = self
                .step(&mut clock, &mut seen)
                .with_context(|| format!("in step {step}"))?;
            if done == Done::Nothing {
                break;
            }
            self.checkpoint(&mut clock)?;
            seen.steps += 1;
            if clock.end_step() {
                self.end_window(&mut clock, &mut seen, window_steps)?;
            }
            progress.tell(seen.total_steps);
        }
        if clock.steps() > 0 {
            self.end_window(&mut clock, &mut seen, window_steps)?;
        }
        seen.measured = Some((from, clock.started()));
        seen.timing = clock.policy();
        seen.queued = self.queued(&clock).since(queued_before);
        seen.take_pending_loss()?;
        seen.exchanged_bytes = self.exchange.exchanged_bytes() - before;
        seen.links = since(&links_before, self.exchange.links());
        self.exchange.finish().context("after the last step")?;
        // Servers may have reached the last one only now.
        self.checkpoint(&mut StepClock::start())?;
        seen.global_steps = self.exchange.global_step();
        Ok(seen)
    }

    /// Records the time of the steps since the last call.
    fn end_window(&self, clock: &mut StepClock, seen: &mut Seen, window_steps: u64) -> Result<()> {
        let first = seen.steps - clock.steps();
        let window = clock
            .finish(self.replica, first)
            .with_context(|| format!("in the steps from {first} on"))?;
        seen.record(window, window_steps);
        Ok(())
    }

    fn queued(&self, clock: &StepClock) -> Queued {
        Queued {
            launches: self.tape.gpu().map_or(0, Gpu::launches),
            graph_launches: self.graphs.replays(),
            host_seconds: clock.host_seconds().unwrap_or_default(),
        }
    }

    fn window_steps(&self) -> u64 {
        let most = self.pace.stop_at.unwrap_or(u64::MAX).min(self.pace.steps);
        most.div_ceil(MAX_WINDOWS).max(1)
    }

    /// False for the null model.
    pub fn has_parameters(&self) -> bool {
        !self.model.parameters().is_empty()
    }

    /// False where the end came first.
    fn warm_up(&mut self, seen: &mut Seen) -> Result<bool> {
        let mut progress = Progress::new(self.replica);
        let mut unmeasured = Seen::default();
        while self.warms_up(unmeasured.total_steps) {
            let step = unmeasured.total_steps;
            let mut clock = StepClock::start_on(self.tape.gpu())?;
            let done = self
                .step(&mut clock, &mut unmeasured)
                .with_context(|| format!("in warm-up step {step}"))?;
            if done == Done::Nothing {
                seen.total_steps = unmeasured.total_steps;
                return Ok(false);
            }
            self.checkpoint(&mut clock)?;
            if step == 0 {
                seen.first_step_seconds = clock.finish(self.replica, step)?.seconds;
                seen.first_loss = unmeasured.first_loss;
            }
            progress.tell(unmeasured.total_steps);
        }
        seen.total_steps = unmeasured.total_steps;
        Ok(true)
    }

    fn warms_up(&self, own_steps: u64) -> bool {
        // The global step is known from before the last step, which came after it.
        let steps = match self.pace.global && own_steps > 0 {
            true => self.exchange.global_step() + 1,
            false => own_steps,
        };
        steps < self.pace.warmup_steps
    }

    /// One update of the parameters.
    fn step(&mut self, clock: &mut StepClock, seen: &mut Seen) -> Result<Done> {
        let batch = self.input.next(clock).context("taking a batch")?;
        self.exchange
            .begin(clock)
            .context("bringing the parameters up to date")?;
        let ends = |stop_at: u64| self.exchange.global_step() >= stop_at;
        if self.pace.stop_at.is_some_and(ends) {
            return Ok(Done::Nothing);
        }
        seen.examples += batch.examples as u64;
        seen.label_sum += batch.label_sum;
        match self.tape.gpu() {
            // The pool has nothing to do while a GPU trains, and its cores have.
            Some(_) => self.train(&batch, clock, seen)?,
            None => awake(|| self.train(&batch, clock, seen))?,
        }
        seen.total_steps += 1;
        Ok(Done::Step)
    }

    /// Takes a copy of the parameters where one is due.
    fn checkpoint(&mut self, clock: &mut StepClock) -> Result<()> {
        let step = self.exchange.global_step();
        if let Some(checkpoints) = &mut self.checkpoints
            && checkpoints.due(step)
        {
            checkpoints.take(step).context("taking a checkpoint")?;
            clock.book(Phase::Checkpoint);
        }
        Ok(())
    }

    /// Forward, backward and update.
    fn train(&mut self, batch: &Batch, clock: &mut StepClock, seen: &mut Seen) -> Result<()> {
        let Some(pass) = self.pass(batch, clock)? else {
            return Ok(());
        };
        if !pass.updated {
            let updated = self.exchange.update(pass.gradients, clock);
            updated.context("updating the parameters")?;
        }
        seen.note_loss(pass.loss, self.tape.gpu().is_some())
    }

    /// Forward and backward, part by part or as a graph; none for the null model.
    fn pass(&mut self, batch: &Batch, clock: &mut StepClock) -> Result<Option<Pass>> {
        if let Some(captured) = self.graphs.of(batch) {
            captured.graph.launch().context("launching a graph")?;
            clock.book_graph(&captured.boundaries);
            let pass = captured.pass.clone();
            if pass.updated {
                self.exchange.note_step();
            }
            return Ok(Some(pass));
        }
        let gpu = self.tape.gpu().cloned();
        match gpu.filter(|_| self.graphs.captures() && self.has_parameters()) {
            Some(gpu) => self.capture(&gpu, batch, clock).map(Some),
            None => {
                self.graphs.note_pass();
                self.record(batch, clock)
            }
        }
    }

    /// Captures the pass on a batch, with the update where that is work of the device alone, and puts it
    /// on the queue once.
    fn capture(&mut self, gpu: &Gpu, batch: &Batch, clock: &mut StepClock) -> Result<Pass> {
        let captured = gpu.capture(|| {
            // Within the graph, so that each replay comes to its beginning, too.
            clock.begin_capture();
            let mut pass = (self.record(batch, clock)?).context("a model with parameters")?;
            if self.exchange.is_queued() {
                let updated = self.exchange.update(pass.gradients.clone(), clock);
                updated.context("updating the parameters")?;
                pass.updated = true;
            }
            anyhow::Ok(pass)
        });
        let boundaries = clock.end_capture().unwrap_or_default();
        let (pass, graph) =
            captured.context("capturing a step; devices.cuda_graph = false goes without graphs")?;
        graph.launch().context("launching a graph")?;
        clock.book_graph(&boundaries);
        let captured = Captured {
            graph,
            boundaries,
            pass: pass.clone(),
        };
        self.graphs.keep(batch, captured);
        Ok(pass)
    }

    /// Forward and backward, part by part.
    fn record(&mut self, batch: &Batch, clock: &mut StepClock) -> Result<Option<Pass>> {
        self.tape.rewind();
        let loss = self
            .model
            .record(&mut self.tape, batch)
            .context("computing the loss")?;
        clock.book(Phase::Forward);
        let Some(loss) = loss else {
            return Ok(None);
        };
        let gradients = self.gradients(clock).context("computing gradients")?;
        clock.book(Phase::Backward);
        Ok(Some(Pass {
            loss,
            gradients,
            updated: false,
        }))
    }

    /// Gradients of all variables in name order, each offered to the exchange as soon as it is final.
    fn gradients(&mut self, clock: &mut StepClock) -> Result<Vec<Tensor>> {
        let (exchange, places) = (&mut self.exchange, &self.places);
        if exchange.takes_offers() {
            self.tape.backward_telling(&mut |variable, gradient| {
                clock.book(Phase::Backward);
                let place = places.get(&variable.id());
                let place = place.context("the tape has a variable that the model has not")?;
                exchange.offer(*place, gradient, clock)
            })?;
        } else {
            self.tape.backward()?;
        }
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

/// What has crossed each link since `before`.
fn since(before: &[LinkReport], mut now: Vec<LinkReport>) -> Vec<LinkReport> {
    for (link, before) in now.iter_mut().zip(before) {
        link.pulled_bytes -= before.pulled_bytes;
        link.pushed_bytes -= before.pushed_bytes;
        link.pull_seconds -= before.pull_seconds;
        link.push_seconds -= before.push_seconds;
    }
    now
}
