//! Whether a replica lived on the device that it was given, and did its work there. In: what it says of
//! its GPU, and what NVML lists of processes. Out: the first thing that does not add up.

use super::RELATIVE_SLACK;
use crate::launch::WorkerResult;
use crate::launch::slots::Slots;
use crate::machine::state::Listing;
use crate::protocol::{DeviceJob, GpuReport, ReplicaReport};
use crate::spec::settings::Settings;
use crate::terms::{ModelName, Placement};

/// A replica that measured `steps` steps in `seconds` on `device`.
pub fn check(
    settings: &Settings,
    device: &DeviceJob,
    report: &ReplicaReport,
    (steps, seconds): (u64, f64),
) -> Result<(), String> {
    match (device, &report.gpu) {
        (DeviceJob::Cpu { .. }, None) => Ok(()),
        (DeviceJob::Cpu { .. }, Some(gpu)) => {
            let GpuReport { uuid, name, .. } = gpu;
            Err(format!("ran on {uuid} ({name}) where it was given cores"))
        }
        (DeviceJob::Cuda { uuid, .. }, None) => Err(format!("reported no GPU instead of {uuid}")),
        (DeviceJob::Cuda { uuid, .. }, Some(gpu)) if gpu.uuid != *uuid => {
            Err(format!("ran on {} instead of {uuid}", gpu.uuid))
        }
        (DeviceJob::Cuda { .. }, Some(gpu)) => {
            launched(settings, gpu, steps)?;
            host_time(gpu, seconds)
        }
    }
}

/// Every step puts work on the GPU, of the kind that was asked for.
fn launched(settings: &Settings, gpu: &GpuReport, steps: u64) -> Result<(), String> {
    let GpuReport {
        uuid,
        launches,
        graph_launches,
        tf32,
        ..
    } = gpu;
    if uses_gpu(settings) && *launches < steps {
        return Err(format!(
            "launched {launches} pieces of work on {uuid} in {steps} steps"
        ));
    }
    if *graph_launches > 0 && !settings.cuda_graph {
        return Err(format!(
            "replayed {graph_launches} CUDA graphs, though devices.cuda_graph = false"
        ));
    }
    if *tf32 != settings.tf32 {
        return Err(format!(
            "computed with tf32 = {tf32}, though devices.tf32 = {}",
            settings.tf32
        ));
    }
    Ok(())
}

/// Whether a step has work for the GPU: what trains nothing may leave it idle, unless its input is made
/// there.
fn uses_gpu(settings: &Settings) -> bool {
    settings.model != ModelName::None || settings.input_placement == Placement::Device
}

/// The host cannot be busy for longer than the steps took.
fn host_time(gpu: &GpuReport, seconds: f64) -> Result<(), String> {
    let busy = gpu.host_seconds;
    if busy.is_finite() && (0.0..=seconds * (1.0 + RELATIVE_SLACK)).contains(&busy) {
        return Ok(());
    }
    Err(format!(
        "claims {busy} s of the host for steps of {seconds:.6} s"
    ))
}

/// Workers must be among the processes that NVML lists for their GPUs. Containers often hide these
/// lists, or number processes otherwise: lists without any worker say nothing.
pub fn check_listed(
    slots: &Slots,
    workers: &[WorkerResult],
    listings: &[Listing],
) -> Result<(), String> {
    let lists = |worker: &WorkerResult, listing: &Listing| {
        let mut processes = listing.processes.iter();
        processes.any(|process| process.group == Some(worker.group))
    };
    let listed_somewhere =
        |worker: &&WorkerResult| listings.iter().any(|listing| lists(worker, listing));
    let Some(_) = workers.iter().find(listed_somewhere) else {
        return Ok(());
    };
    for (rank, (worker, devices)) in workers.iter().zip(&slots.workers).enumerate() {
        for uuid in devices.iter().filter_map(uuid) {
            let mut of_gpu = listings.iter().filter(|listing| listing.uuid == uuid);
            if of_gpu.clone().next().is_some() && !of_gpu.any(|listing| lists(worker, listing)) {
                return Err(format!(
                    "worker {rank} claims {uuid}, where NVML lists no process of it"
                ));
            }
        }
    }
    Ok(())
}

fn uuid(device: &DeviceJob) -> Option<&str> {
    match device {
        DeviceJob::Cuda { uuid, .. } => Some(uuid),
        DeviceJob::Cpu { .. } => None,
    }
}

#[cfg(test)]
mod tests;
