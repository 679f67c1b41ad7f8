//! The figures of a row. In: what all processes of a completed repeat measured. Out: [`Measured`].
//! Pure; believes what it is given, which [`evidence`](super::evidence) has checked.

mod cluster;
mod gpus;

pub use cluster::Cluster;
pub use gpus::Gpus;

use super::asked::in_step;
use super::{ServerResult, WorkerResult};
use crate::protocol::{ReplicaReport, StepWindow, WorkerReport};
use crate::spec::settings::Settings;
use crate::stats;
use crate::terms::{Convolution, Phase};
use std::collections::{BTreeMap, BTreeSet};

/// Figures of a repeat that ran to its end. Seconds are per step unless the name says otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Measured steps of the worker that took most.
    pub steps: u64,
    pub examples: u64,
    /// All measured steps together.
    pub elapsed_seconds: f64,
    /// Total examples over total time, all replicas.
    pub throughput_examples_per_second: f64,
    /// Over steps, each as long as its slowest replica; over the steps of all replicas where they do not
    /// keep step.
    pub step_seconds_median: f64,
    pub step_seconds_mad: f64,
    pub step_seconds_min: f64,
    pub step_seconds_max: f64,
    /// Mean of a step over replicas and steps; the phases and `other_seconds` sum to it.
    pub step_seconds_mean: f64,
    /// In the order of [`Phase`].
    pub phase_seconds: [f64; Phase::COUNT],
    pub other_seconds: f64,
    pub first_step_seconds: f64,
    pub startup_seconds: f64,
    pub prefill_seconds: f64,
    /// From launch to the end of the last process.
    pub repeat_seconds: f64,
    pub first_loss: Option<f64>,
    pub last_loss: Option<f64>,
    pub parameter_digest: String,
    pub exchanged_bytes: u64,
    pub peak_memory_bytes: u64,
    pub cpu_seconds: f64,
    pub convolution: String,
    /// How steps were timed, in the words of the workers.
    pub timing: String,
    pub gpus: Gpus,
    pub cluster: Cluster,
}

/// Figures of all processes together; `repeat_seconds` is from launch to the end of the last process.
/// Some worker has measured a step.
pub fn measure(
    settings: &Settings,
    workers: &[WorkerResult],
    servers: &[ServerResult],
    repeat_seconds: f64,
) -> Measured {
    let steps = match in_step(settings) {
        true => seconds_of_slowest(workers),
        false => seconds_of_all(workers),
    };
    let (mean, phases) = mean_step(workers);
    let elapsed = elapsed(workers);
    let examples = replicas(workers).map(|report| report.examples).sum();
    let served = servers.iter().map(|server| &server.report);
    let server_memory: u64 = served.clone().map(|report| report.peak_memory_bytes).sum();
    let worked = workers.iter().map(|worker| worker.report.cpu_seconds);
    Measured {
        steps: workers
            .iter()
            .map(|worker| worker.report.steps)
            .max()
            .unwrap_or_default(),
        examples,
        elapsed_seconds: elapsed,
        throughput_examples_per_second: examples as f64 / elapsed,
        step_seconds_median: stats::median(&steps).unwrap_or_default(),
        step_seconds_mad: stats::mad(&steps).unwrap_or_default(),
        step_seconds_min: steps.iter().copied().fold(f64::INFINITY, f64::min),
        step_seconds_max: steps.iter().copied().fold(0.0, f64::max),
        step_seconds_mean: mean,
        phase_seconds: phases,
        other_seconds: (mean - phases.iter().sum::<f64>()).max(0.0),
        first_step_seconds: greatest(workers, |report| report.first_step_seconds),
        startup_seconds: greatest(workers, |report| report.startup_seconds),
        prefill_seconds: greatest(workers, |report| report.prefill_seconds),
        repeat_seconds,
        first_loss: mean_loss(workers, |report| report.first_loss),
        last_loss: mean_loss(workers, |report| report.last_loss),
        parameter_digest: digests(workers),
        exchanged_bytes: sum(workers, |report| report.exchanged_bytes),
        peak_memory_bytes: sum(workers, |report| report.peak_memory_bytes) + server_memory,
        cpu_seconds: worked.chain(served.map(|report| report.cpu_seconds)).sum(),
        convolution: in_words(&workers[0].report.convolutions),
        timing: timing(workers),
        gpus: gpus::gpus(workers),
        cluster: cluster::cluster(settings, workers, servers, elapsed),
    }
}

/// Algorithms in the order of their layers, with spaces between.
fn in_words(algorithms: &[Convolution]) -> String {
    let words: Vec<String> = algorithms.iter().map(ToString::to_string).collect();
    words.join(" ")
}

/// All ways of timing, joined by `|`; one where all workers have the same.
fn timing(workers: &[WorkerResult]) -> String {
    let ways = workers.iter().map(|worker| worker.report.timing.as_str());
    Vec::from_iter(BTreeSet::from_iter(ways)).join("|")
}

/// From the first measured step of any worker to the last one of all. Workers that exchange nothing are
/// not held together: what one does while another still warms up must not count as done by both.
fn elapsed(workers: &[WorkerResult]) -> f64 {
    let reports = workers.iter().map(|worker| &worker.report);
    let measured = reports.filter(|report| report.steps > 0);
    let from = measured.clone().map(|report| report.measured_from_seconds);
    let until = measured.map(|report| report.measured_from_seconds + report.elapsed_seconds);
    until.fold(0.0, f64::max) - from.fold(f64::INFINITY, f64::min)
}

fn replicas(workers: &[WorkerResult]) -> impl Iterator<Item = &ReplicaReport> {
    workers.iter().flat_map(|worker| &worker.replicas)
}

fn windows(workers: &[WorkerResult]) -> impl Iterator<Item = &StepWindow> {
    workers.iter().flat_map(|worker| &worker.windows)
}

/// Seconds of each step, or of the mean step of each window: those of the slowest replica.
fn seconds_of_slowest(workers: &[WorkerResult]) -> Vec<f64> {
    let mut slowest = BTreeMap::<u64, f64>::new();
    for window in windows(workers) {
        let step = slowest.entry(window.first_step).or_default();
        *step = step.max(window.seconds / window.steps as f64);
    }
    slowest.into_values().collect()
}

/// The same of every replica.
fn seconds_of_all(workers: &[WorkerResult]) -> Vec<f64> {
    let seconds = |window: &StepWindow| window.seconds / window.steps as f64;
    windows(workers).map(seconds).collect()
}

/// Seconds of the mean step over all replicas, and of each of its phases.
fn mean_step(workers: &[WorkerResult]) -> (f64, [f64; Phase::COUNT]) {
    let (mut steps, mut seconds, mut phases) = (0, 0.0, [0.0; Phase::COUNT]);
    for window in windows(workers) {
        steps += window.steps;
        seconds += window.seconds;
        phases
            .iter_mut()
            .zip(window.phases)
            .for_each(|(sum, phase)| *sum += phase);
    }
    let steps = steps as f64;
    (seconds / steps, phases.map(|sum| sum / steps))
}

fn greatest(workers: &[WorkerResult], of: impl Fn(&WorkerReport) -> f64) -> f64 {
    workers
        .iter()
        .map(|worker| of(&worker.report))
        .fold(0.0, f64::max)
}

fn sum(workers: &[WorkerResult], of: impl Fn(&WorkerReport) -> u64) -> u64 {
    workers.iter().map(|worker| of(&worker.report)).sum()
}

/// The mean over replicas; none for a model without a loss.
fn mean_loss(workers: &[WorkerResult], of: impl Fn(&ReplicaReport) -> Option<f64>) -> Option<f64> {
    let losses: Vec<f64> = replicas(workers).filter_map(of).collect();
    (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
}

/// Every different digest, joined by `|`.
fn digests(workers: &[WorkerResult]) -> String {
    let reported = replicas(workers).filter_map(|report| report.parameter_digest.as_deref());
    reported
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join("|")
}

#[cfg(test)]
mod tests;
