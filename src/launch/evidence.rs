//! Whether the work was done. In: what was asked, and what every process says of itself. Out: the
//! first thing that does not hold together. A timing whose work was not done is worth nothing.

mod cluster;
mod gpu;

pub use gpu::check_listed;

use super::asked::Asked;
use super::slots::Slots;
use super::{ServerResult, WorkerResult};
use crate::protocol::{DeviceJob, ReplicaReport, StepWindow, WorkerReport, cpu_list};
use crate::spec::settings::Settings;
use crate::terms::{InputSource, ModelName, Phase};

/// Phases are read from one clock, but sums of many floats need not be exact.
const RELATIVE_SLACK: f64 = 0.01;
/// Seconds between the readings of two clocks that should be one.
const CLOCK_SLACK: f64 = 1e-3;
/// The shortest part of the elapsed time that the steps of the busiest replica may fill, and what
/// replicas without an exchange may start apart, in seconds.
const FILLED_SHARE: f64 = 0.9;
const START_SLACK: f64 = 0.05;
/// So many labels are not all zero by chance.
const EXAMPLES_WITH_A_LABEL: u64 = 64;
/// After so many steps, warm-up included, a loss that has not moved was not trained.
const STEPS_THAT_LEARN: u64 = 3;

/// Checks all processes of a repeat.
///
/// # Errors
/// The reason of a wrong result: which process claims what, and what was asked or seen.
pub fn check(
    settings: &Settings,
    slots: &Slots,
    workers: &[WorkerResult],
    servers: &[ServerResult],
) -> Result<(), String> {
    for (rank, (worker, devices)) in workers.iter().zip(&slots.workers).enumerate() {
        check_worker(settings, devices, worker)
            .map_err(|claim| format!("worker {rank} {claim}"))?;
    }
    if workers.iter().all(|worker| worker.report.steps == 0) {
        return Err(
            "no worker measured a step: all were still warming up when the global step came to its \
             end; raise measure.stop_at_global_step or lower measure.warmup_steps"
                .to_owned(),
        );
    }
    cluster::check(settings, slots, workers, servers)
}

fn check_worker(
    settings: &Settings,
    devices: &[DeviceJob],
    worker: &WorkerResult,
) -> Result<(), String> {
    let (report, asked) = (&worker.report, Asked::of(settings));
    if !asked.allows(report.steps) {
        let of = match asked {
            Asked::Exactly(steps) => steps.to_string(),
            Asked::AtMost(steps) => format!("at most {steps}"),
        };
        return Err(format!("claims {} steps of {of}", report.steps));
    }
    check_elapsed(report, worker.wall_seconds)?;
    for (number, device) in devices.iter().enumerate() {
        let of_replica = |claim| format!("replica {number} {claim}");
        let mut reports = worker
            .replicas
            .iter()
            .filter(|report| report.replica == number);
        let (Some(report), None) = (reports.next(), reports.next()) else {
            return Err(of_replica("did not report once".to_owned()));
        };
        let seconds = windows_of(worker, number).map(|window| window.seconds);
        let work = (report, seconds.sum());
        check_replica(settings, device, work, &worker.report).map_err(of_replica)?;
        check_windows(worker.report.steps, windows_of(worker, number)).map_err(of_replica)?;
    }
    check_filled(worker, devices.len())
}

/// The measured window lies between `Start` and `Finished` as the harness saw them.
fn check_elapsed(report: &WorkerReport, wall: f64) -> Result<(), String> {
    let (from, elapsed) = (report.measured_from_seconds, report.elapsed_seconds);
    if !(elapsed.is_finite() && (elapsed > 0.0 || report.steps == 0 && elapsed == 0.0)) {
        return Err(format!("claims {elapsed} s for its steps"));
    }
    if !(from.is_finite() && from >= 0.0) {
        return Err(format!(
            "claims to have measured from {from} s after its start"
        ));
    }
    if from + elapsed > wall + CLOCK_SLACK {
        let claimed = from + elapsed;
        return Err(format!(
            "claims {claimed:.6} s for its steps, of which the harness saw {wall:.6} s pass"
        ));
    }
    Ok(())
}

/// What a replica reports of steps that took so many seconds by their windows.
fn check_replica(
    settings: &Settings,
    device: &DeviceJob,
    (report, seconds): (&ReplicaReport, f64),
    worker: &WorkerReport,
) -> Result<(), String> {
    let examples = worker.steps * settings.local_batch as u64;
    if report.examples != examples {
        return Err(format!(
            "trained on {} examples of {examples}",
            report.examples
        ));
    }
    let (DeviceJob::Cpu { cores } | DeviceJob::Cuda { cores, .. }) = device;
    if report.cores != cpu_list(cores) {
        let (claimed, asked) = (&report.cores, cpu_list(cores));
        return Err(format!("ran on cores {claimed:?} instead of {asked:?}"));
    }
    gpu::check(settings, device, report, (worker.steps, seconds))?;
    let labelled = matches!(
        settings.input_source,
        InputSource::Cifar10 | InputSource::Generated
    );
    if labelled && report.input_checksum == 0 && examples >= EXAMPLES_WITH_A_LABEL {
        return Err("read no labels".to_owned());
    }
    if settings.model == ModelName::None || worker.steps == 0 {
        Ok(())
    } else {
        check_losses(report, settings.warmup_steps + worker.steps)
    }
}

/// After so many steps, warm-up included.
fn check_losses(report: &ReplicaReport, steps: u64) -> Result<(), String> {
    let (Some(first), Some(last)) = (report.first_loss, report.last_loss) else {
        return Err("reported no loss".to_owned());
    };
    if !first.is_finite() || !last.is_finite() {
        return Err(format!("ended with loss {last} from {first}"));
    }
    if first == last && steps >= STEPS_THAT_LEARN {
        return Err(format!("did not learn: its loss stayed {first}"));
    }
    Ok(())
}

fn windows_of(worker: &WorkerResult, replica: usize) -> impl Iterator<Item = &StepWindow> {
    worker
        .windows
        .iter()
        .filter(move |window| window.replica == replica)
}

/// Windows must follow each other without a gap and hold their phases.
fn check_windows<'a>(
    steps: u64,
    windows: impl Iterator<Item = &'a StepWindow>,
) -> Result<(), String> {
    let mut next = 0;
    for window in windows {
        let step = window.first_step;
        if step != next || window.steps == 0 {
            return Err(format!("sent step {step} where step {next} was due"));
        }
        next = (window.steps.checked_add(next))
            .ok_or_else(|| format!("claims {} steps from step {step} on", window.steps))?;
        let parts = window.phases.iter().chain([&window.seconds]);
        if !parts.clone().all(|part| part.is_finite() && *part >= 0.0) {
            return Err(format!("claims impossible times for step {step}"));
        }
        let phases: f64 = window.phases.iter().sum();
        if phases > window.seconds * (1.0 + RELATIVE_SLACK) {
            let (seconds, count) = (window.seconds, Phase::COUNT);
            return Err(format!(
                "fills {seconds} s of step {step} with {count} phases of {phases} s"
            ));
        }
    }
    if next == steps {
        Ok(())
    } else {
        Err(format!("sent times of {next} steps of {steps}"))
    }
}

/// All replicas' steps lie within the elapsed time, and those of the busiest fill it.
fn check_filled(worker: &WorkerResult, replicas: usize) -> Result<(), String> {
    let elapsed = worker.report.elapsed_seconds;
    let sum = |replica| {
        windows_of(worker, replica)
            .map(|window| window.seconds)
            .sum::<f64>()
    };
    let busiest = (0..replicas).map(sum).fold(0.0, f64::max);
    let most = elapsed * (1.0 + RELATIVE_SLACK) + CLOCK_SLACK;
    let least = elapsed * FILLED_SHARE - START_SLACK;
    if (least..=most).contains(&busiest) {
        return Ok(());
    }
    Err(format!(
        "claims {elapsed:.6} s for steps that took {busiest:.6} s"
    ))
}

#[cfg(test)]
mod tests;
