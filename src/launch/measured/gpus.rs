//! What replicas did on GPUs, as figures of the row. In: what workers of a completed repeat told. Out:
//! [`Gpus`]. Pure.

use crate::launch::WorkerResult;
use crate::protocol::GpuReport;
use std::collections::BTreeSet;

/// What replicas did on GPUs; empty or none where all live on CPU devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gpus {
    /// The UUID of each replica's: `GPU-1…|GPU-2…`.
    pub devices: String,
    /// Models, each once.
    pub name: String,
    /// Kernels, copies and library calls of a step of one replica: the mean over replicas and steps.
    pub launches_per_step: Option<f64>,
    /// Graphs that all replicas together replayed in measured steps.
    pub graph_launches: Option<u64>,
    /// Seconds of a step in which the host of a replica was busy putting work on queues.
    pub host_step_seconds: Option<f64>,
    /// These seconds over those of the step.
    pub host_bound_share: Option<f64>,
    /// The most device memory in use that a replica saw.
    pub memory_bytes: Option<u64>,
}

/// Figures of all replicas on GPUs together.
pub fn gpus(workers: &[WorkerResult]) -> Gpus {
    let told: Vec<_> = workers.iter().flat_map(on_gpus).collect();
    if told.is_empty() {
        return Gpus::default();
    }
    let sum = |of: fn(&OnGpu) -> f64| told.iter().map(of).sum::<f64>();
    let reports = || told.iter().map(|one| one.gpu);
    let steps = sum(|one| one.steps as f64);
    let busy = sum(|one| one.gpu.host_seconds);
    let names: BTreeSet<&str> = reports().map(|gpu| gpu.name.as_str()).collect();
    let devices: Vec<&str> = reports().map(|gpu| gpu.uuid.as_str()).collect();
    Gpus {
        devices: devices.join("|"),
        name: Vec::from_iter(names).join("|"),
        launches_per_step: share(sum(|one| one.gpu.launches as f64), steps),
        graph_launches: Some(reports().map(|gpu| gpu.graph_launches).sum()),
        host_step_seconds: share(busy, steps),
        host_bound_share: share(busy, sum(|one| one.seconds)),
        memory_bytes: reports().map(|gpu| gpu.memory_bytes).max(),
    }
}

/// What one replica told, with its measured steps and their seconds.
struct OnGpu<'a> {
    gpu: &'a GpuReport,
    steps: u64,
    seconds: f64,
}

fn on_gpus(worker: &WorkerResult) -> impl Iterator<Item = OnGpu<'_>> {
    worker.replicas.iter().filter_map(|report| {
        let windows = worker.windows.iter();
        let own = windows.filter(|window| window.replica == report.replica);
        Some(OnGpu {
            gpu: report.gpu.as_ref()?,
            steps: worker.report.steps,
            seconds: own.map(|window| window.seconds).sum(),
        })
    })
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::fixture::{honest, honest_on_gpus};

    #[test]
    fn figures_are_those_of_a_step_of_one_replica() {
        let mut worker = honest_on_gpus();
        let gpu = |replica: usize| worker.replicas[replica].gpu.clone().unwrap();
        let second = GpuReport {
            launches: 500,
            host_seconds: 4.0,
            memory_bytes: 9,
            ..gpu(1)
        };
        let devices = format!("{}|{}", gpu(0).uuid, second.uuid);
        worker.replicas[1].gpu = Some(second);
        // Two replicas of four steps, which took 10 seconds each; the first launched 400 and took 8.
        let expected = Gpus {
            devices,
            name: "NVIDIA Test".into(),
            launches_per_step: Some(112.5),
            graph_launches: Some(8),
            host_step_seconds: Some(1.5),
            host_bound_share: Some(0.6),
            memory_bytes: Some(1 << 30),
        };
        assert_eq!(gpus(&[worker]), expected);
    }

    #[test]
    fn a_repeat_on_the_cpu_has_none_and_one_without_steps_no_ratios() {
        assert_eq!(gpus(&[honest()]), Gpus::default());
        let mut idle = honest_on_gpus();
        (idle.report.steps, idle.windows) = (0, Vec::new());
        let figures = gpus(&[idle]);
        let ratios = (figures.launches_per_step, figures.host_bound_share);
        assert_eq!(ratios, (None, None));
    }
}
