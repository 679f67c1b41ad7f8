//! The figures of a row. In: what all workers of a completed repeat measured. Out: [`Measured`].
//! Pure; believes what it is given, which [`evidence`](super::evidence) has checked.

use super::WorkerResult;
use crate::protocol::{ReplicaReport, StepWindow, WorkerReport};
use crate::spec::settings::Settings;
use crate::stats;
use crate::terms::{Convolution, Phase};
use std::collections::{BTreeMap, BTreeSet};

/// Figures of a repeat that ran to its end. Seconds are per step unless the name says otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    pub steps: u64,
    pub examples: u64,
    /// All measured steps together.
    pub elapsed_seconds: f64,
    /// Total examples over total time, all replicas.
    pub throughput_examples_per_second: f64,
    /// Over steps, each as long as its slowest replica.
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
    pub cluster: Cluster,
}

/// What processes of a repeat did with each other; empty or zero where there is but one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// Measured steps of all workers together, each of its own batch, over the elapsed time.
    pub steps_per_second: f64,
    /// The mean over workers of their own measured steps over their own time.
    pub steps_per_second_per_worker: f64,
    /// Steps of all workers together, warm-up included.
    pub total_steps: u64,
    /// Updates of the parameters, warm-up included.
    pub global_steps: u64,
    /// By worker, seconds from the common start to its first measured step: `0.1|0.1|30.5`.
    pub worker_starts: String,
    /// Updates that were done before the last worker pulled for the first time.
    pub alone_updates: Option<u64>,
    pub checkpoints: u64,
    /// Each link in the order of the columns after it: `worker 0 - server 0|worker 1 - server 0`.
    pub links: String,
    /// In measured steps, by link.
    pub link_pulled_bytes: String,
    pub link_pushed_bytes: String,
    /// While bytes moved, by link.
    pub link_gigabytes_per_second: String,
    /// Over all links.
    pub pulled_bytes: u64,
    pub pushed_bytes: u64,
    /// Bytes of all links over the time in which they moved, summed over links.
    pub exchange_gigabytes_per_second: Option<f64>,
    /// Share of the parameters, in bytes, that the most loaded server holds.
    pub server_share: Option<f64>,
    /// Seconds of an update on the busiest server.
    pub server_apply_seconds: Option<f64>,
    /// Share of the time from start to end that the busiest server moved bytes or updated parameters.
    pub server_busy_share: Option<f64>,
    /// Whole gradients that reached the first server, updates that it made, and gradients that it did
    /// not use.
    pub pushed_gradients: Option<u64>,
    pub applied_updates: Option<u64>,
    pub dropped_gradients: Option<u64>,
    /// How many gradients were how many updates old: `0:12 1:30 2:8`.
    pub staleness: String,
    pub staleness_mean: Option<f64>,
}

/// Figures of all workers together; `repeat_seconds` is from launch to the end of the last process.
pub fn measure(settings: &Settings, workers: &[WorkerResult], repeat_seconds: f64) -> Measured {
    let steps = step_seconds(workers);
    let (mean, phases) = mean_step(workers);
    let elapsed = elapsed(workers);
    let examples = replicas(workers).map(|report| report.examples).sum();
    Measured {
        steps: settings.steps,
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
        peak_memory_bytes: sum(workers, |report| report.peak_memory_bytes),
        cpu_seconds: workers.iter().map(|worker| worker.report.cpu_seconds).sum(),
        convolution: in_words(&workers[0].report.convolutions),
        cluster: Cluster::default(),
    }
}

/// Algorithms in the order of their layers, with spaces between.
fn in_words(algorithms: &[Convolution]) -> String {
    let words: Vec<String> = algorithms.iter().map(ToString::to_string).collect();
    words.join(" ")
}

/// From the first measured step of any worker to the last one of all. Workers that exchange nothing are
/// not held together: what one does while another still warms up must not count as done by both.
fn elapsed(workers: &[WorkerResult]) -> f64 {
    let from = workers
        .iter()
        .map(|worker| worker.report.measured_from_seconds);
    let until = |report: &WorkerReport| report.measured_from_seconds + report.elapsed_seconds;
    greatest(workers, until) - from.fold(f64::INFINITY, f64::min)
}

fn replicas(workers: &[WorkerResult]) -> impl Iterator<Item = &ReplicaReport> {
    workers.iter().flat_map(|worker| &worker.replicas)
}

fn windows(workers: &[WorkerResult]) -> impl Iterator<Item = &StepWindow> {
    workers.iter().flat_map(|worker| &worker.windows)
}

/// Seconds of each step, or of the mean step of each window: those of the slowest replica.
fn step_seconds(workers: &[WorkerResult]) -> Vec<f64> {
    let mut slowest = BTreeMap::<u64, f64>::new();
    for window in windows(workers) {
        let seconds = window.seconds / window.steps as f64;
        let step = slowest.entry(window.first_step).or_default();
        *step = step.max(seconds);
    }
    slowest.into_values().collect()
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
mod tests {
    use super::*;
    use crate::launch::fixture::{honest, pair};
    use proptest::prelude::*;

    #[test]
    fn workers_that_start_apart_are_measured_from_the_first_start_to_the_last_end() {
        let (settings, _) = pair();
        let mut late = honest();
        late.report.measured_from_seconds = 5.0;
        let measured = measure(&settings, &[honest(), late], 30.0);
        assert_eq!(measured.elapsed_seconds, 15.0);
        assert_eq!(measured.throughput_examples_per_second, 128.0 / 15.0);
    }

    #[test]
    fn a_synchronous_step_takes_as_long_as_its_slowest_replica() {
        let (settings, _) = pair();
        let mut second = honest();
        second.windows[2].seconds = 9.0;
        second.report.elapsed_seconds = 20.0;
        second.replicas[0].parameter_digest = Some("d2".into());
        let measured = measure(&settings, &[honest(), second], 30.0);
        assert_eq!(measured.examples, 4 * 32);
        assert_eq!(measured.throughput_examples_per_second, 128.0 / 20.0);
        let steps = (
            measured.step_seconds_min,
            measured.step_seconds_median,
            measured.step_seconds_max,
        );
        assert_eq!(steps, (1.0, 3.0, 9.0));
        // Deviations from 3 are 2, 1, 6 and 1.
        assert!((measured.step_seconds_mad - 1.4826 * 1.5).abs() < 1e-4);
        assert_eq!(measured.step_seconds_mean, (4.0 * 10.0 + 6.0) / 16.0);
        assert_eq!(
            measured.phase_seconds[Phase::Forward as usize],
            4.0 * 5.0 / 16.0
        );
        assert_eq!(
            (measured.first_loss, measured.last_loss),
            (Some(2.5), Some(1.5))
        );
        assert_eq!(measured.parameter_digest, "d1|d2");
        assert_eq!(
            (measured.exchanged_bytes, measured.cpu_seconds),
            (2000, 40.0)
        );
    }

    #[test]
    fn a_window_of_several_steps_counts_by_its_mean_step() {
        let (settings, _) = pair();
        let mut worker = honest();
        let window = StepWindow {
            steps: 4,
            seconds: 10.0,
            ..worker.windows[0]
        };
        worker.windows = vec![
            window,
            StepWindow {
                replica: 1,
                ..window
            },
        ];
        let measured = measure(&settings, &[worker], 1.0);
        assert_eq!(
            (measured.step_seconds_median, measured.step_seconds_mean),
            (2.5, 2.5)
        );
        assert_eq!(measured.step_seconds_mad, 0.0);
    }

    proptest! {
        #[test]
        fn phases_and_the_rest_sum_to_the_step(
            shares in prop::collection::vec((0.001f64..10.0, prop::array::uniform11(0.0f64..0.09)), 1..20),
        ) {
            let (settings, _) = pair();
            let mut worker = honest();
            worker.windows = shares.iter().enumerate().map(|(step, (seconds, shares))| StepWindow {
                replica: 0,
                first_step: step as u64,
                steps: 1,
                seconds: *seconds,
                phases: shares.map(|share| share * seconds),
            }).collect();
            let measured = measure(&settings, &[worker], 1.0);
            let parts = measured.phase_seconds.iter().sum::<f64>() + measured.other_seconds;
            prop_assert!((parts - measured.step_seconds_mean).abs() < 1e-9);
            prop_assert!(measured.step_seconds_min <= measured.step_seconds_median);
            prop_assert!(measured.step_seconds_median <= measured.step_seconds_max);
        }
    }
}
