//! What a person sees while repeats run. In: the beginning, updates and result of each repeat. Out:
//! a live line on a terminal; one plain line per repeat where stderr goes elsewhere.

use super::{RepeatResult, Update};
use crate::units::{Seconds, Throughput, significant};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The progress of one run.
#[derive(Debug)]
pub struct Progress {
    /// None where stderr is no terminal.
    bar: Option<ProgressBar>,
    total: usize,
    done: usize,
    /// Repeats that were really run, and how long they took.
    ran: u32,
    spent: Duration,
    current: Current,
}

/// The repeat that runs.
#[derive(Debug)]
struct Current {
    block: u32,
    label: String,
    steps: u64,
    started: Instant,
    /// Steps that were done when the first update came, and when that was.
    first: Option<(u64, Instant)>,
}

impl Progress {
    /// `total` repeats, `done` of which are there already.
    pub fn new(total: usize, done: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = terminal.then(|| {
            let style = ProgressStyle::with_template("{bar:20} {wide_msg}");
            ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr())
                .with_style(style.expect("the template is valid"))
                .with_position(done as u64)
        });
        let current = Current::new(0, String::new(), 0);
        Self {
            bar,
            total,
            done,
            ran: 0,
            spent: Duration::ZERO,
            current,
        }
    }

    /// A repeat of `steps` steps, warm-up included, begins.
    pub fn begin(&mut self, block: u32, label: &str, steps: u64) {
        self.current = Current::new(block, label.to_owned(), steps);
        self.draw(String::new());
    }

    /// Something has happened in it.
    pub fn update(&mut self, update: Update) {
        match update {
            Update::Ready => {}
            Update::Steps(steps) => {
                let now = Instant::now();
                let text = self.current.speed(steps, now);
                self.draw(text);
            }
            Update::Stopping { grace_seconds } => self.say(&format!(
                "stopping: this repeat may end within {grace_seconds} s; Ctrl-C again kills it"
            )),
        }
    }

    /// It has ended. On a terminal only what went wrong leaves a line.
    pub fn finish(&mut self, result: &RepeatResult) {
        self.done += 1;
        self.ran += 1;
        self.spent += self.current.started.elapsed();
        let line = finished_line(self.done, self.total, &self.current, result);
        if let Some(bar) = &self.bar {
            bar.set_position(self.done as u64);
        }
        if self.bar.is_none() || result.measured.is_none() {
            self.say(&line);
        }
    }

    /// It was not tried.
    pub fn skip(&mut self, reason: &str) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done as u64);
        }
        let head = head(self.done, self.total, &self.current);
        self.say(&format!("{head} · skipped: {reason}"));
    }

    /// One more repeat will be run than was thought.
    pub fn add_one(&mut self) {
        self.total += 1;
        if let Some(bar) = &self.bar {
            bar.set_length(self.total as u64);
        }
    }

    /// Prints a line without disturbing the live one.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Removes the live line.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn draw(&self, speed: String) {
        if let Some(bar) = &self.bar {
            let number = number(self.done + 1, self.total);
            bar.set_message(live_line(&number, &[speed, self.left()], &self.current));
        }
    }

    /// The time that is left if repeats to come take as long as those that have run.
    fn left(&self) -> String {
        if self.ran == 0 {
            return String::new();
        }
        let repeats = self.total.saturating_sub(self.done) as f64;
        let seconds = self.spent.as_secs_f64() / f64::from(self.ran) * repeats;
        format!("{} left", Seconds(seconds))
    }
}

impl Current {
    fn new(block: u32, label: String, steps: u64) -> Self {
        Self {
            block,
            label,
            steps,
            started: Instant::now(),
            first: None,
        }
    }

    /// `step 12 of 18, 3.40 steps/s`; the speed from the second update on.
    fn speed(&mut self, steps: u64, now: Instant) -> String {
        let (first, since) = *self.first.get_or_insert((steps, now));
        let seconds = (now - since).as_secs_f64();
        let place = format!("step {steps} of {}", self.steps);
        if steps <= first || seconds <= 0.0 {
            return place;
        }
        format!(
            "{place}, {} steps/s",
            significant((steps - first) as f64 / seconds)
        )
    }
}

/// `[ 3/36]`.
fn number(number: usize, total: usize) -> String {
    let width = total.to_string().len();
    format!("[{number:>width$}/{total}]")
}

/// What moves stands before what a narrow terminal may cut.
fn live_line(number: &str, moving: &[String], current: &Current) -> String {
    let moving = moving.iter().filter(|part| !part.is_empty());
    let mut parts: Vec<&str> = moving.map(String::as_str).collect();
    parts.push(&current.label);
    format!("{number} {}", parts.join(" · "))
}

/// `[ 3/36] block 1 · 2 devices, input on host`.
fn head(done: usize, total: usize, current: &Current) -> String {
    let number = number(done, total);
    format!("{number} block {} · {}", current.block, current.label)
}

/// `[ 3/36] block 1 · 2 devices, input on host · completed · 1 234 examples/s`.
fn finished_line(done: usize, total: usize, current: &Current, result: &RepeatResult) -> String {
    let head = head(done, total, current);
    match &result.measured {
        Some(measured) => {
            let speed = Throughput(measured.throughput_examples_per_second);
            format!("{head} · {} · {speed}", result.outcome)
        }
        None => format!("{head} · {}: {}", result.outcome, result.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Measured;
    use crate::terms::Outcome;
    use insta::assert_snapshot;

    fn current() -> Current {
        Current::new(1, "2 devices, input on host".into(), 18)
    }

    #[test]
    fn a_finished_repeat_is_one_line() {
        let mut result = RepeatResult {
            outcome: Outcome::Completed,
            reason: String::new(),
            seconds: 1.0,
            measured: Some(Measured {
                throughput_examples_per_second: 1234.4,
                ..Measured::default()
            }),
            workers: Vec::new(),
            servers: Vec::new(),
        };
        let line = finished_line(3, 36, &current(), &result);
        assert_snapshot!(line, @"[ 3/36] block 1 · 2 devices, input on host · completed · 1 234 examples/s");
        result.measured = None;
        result.outcome = Outcome::TimedOut;
        result.reason = "worker 0 was not ready after 5.00 s (measure.timeout)".into();
        let line = finished_line(36, 36, &current(), &result);
        assert_snapshot!(line, @"[36/36] block 1 · 2 devices, input on host · timed-out: worker 0 was not ready after 5.00 s (measure.timeout)");
    }

    #[test]
    fn speed_is_told_from_the_second_update_on() {
        let mut current = current();
        let start = Instant::now();
        assert_snapshot!(current.speed(3, start), @"step 3 of 18");
        let later = start + Duration::from_secs(2);
        let speed = current.speed(13, later);
        assert_snapshot!(speed, @"step 13 of 18, 5.00 steps/s");
        let line = live_line(&number(3, 36), &[speed, "20.0 s left".into()], &current);
        assert_snapshot!(line, @"[ 3/36] step 13 of 18, 5.00 steps/s · 20.0 s left · 2 devices, input on host");
        let first = live_line(&number(1, 36), &[String::new(), String::new()], &current);
        assert_snapshot!(first, @"[ 1/36] 2 devices, input on host");
    }
}
