//! Whether processes did together what they claim: parameters that agree, gradients that arrived, bytes
//! that crossed. In: what all workers and servers say. Out: the first thing that does not add up.

use super::RELATIVE_SLACK;
use crate::launch::asked::global_steps;
use crate::launch::slots::Slots;
use crate::launch::{ServerResult, WorkerResult};
use crate::protocol::{DeviceJob, LinkReport, ServerReport, cpu_list};
use crate::spec::settings::{Settings, parameter_bytes};
use crate::terms::{ModelName, Topology, Update};
use std::collections::BTreeSet;

/// Bytes of a message that are no numbers.
const HEADER_BYTES: u64 = 256;

pub fn check(
    settings: &Settings,
    slots: &Slots,
    workers: &[WorkerResult],
    servers: &[ServerResult],
) -> Result<(), String> {
    digests(settings, workers)?;
    match settings.topology {
        Topology::ParameterServer => {
            parameters_held(settings, servers)?;
            for (rank, (server, device)) in servers.iter().zip(&slots.servers).enumerate() {
                let of_server = |claim| format!("server {rank} {claim}");
                cores(device, &server.report).map_err(of_server)?;
                updates(settings, workers, &server.report).map_err(of_server)?;
            }
            each(workers, |worker| {
                links_to_servers(settings, worker, servers)
            })
        }
        Topology::AllReduce => each(workers, |worker| {
            links_of_ring(settings, worker, workers.len())
        }),
        Topology::Single | Topology::Replicated | Topology::Independent => Ok(()),
    }
}

fn each(
    workers: &[WorkerResult],
    check: impl Fn(&WorkerResult) -> Result<(), String>,
) -> Result<(), String> {
    let mut workers = workers.iter().enumerate();
    workers.try_for_each(|(rank, worker)| {
        check(worker).map_err(|claim| format!("worker {rank} {claim}"))
    })
}

/// Replicas that take every step together end with the same parameters.
fn digests(settings: &Settings, workers: &[WorkerResult]) -> Result<(), String> {
    let agree = match settings.topology {
        Topology::Replicated | Topology::AllReduce => true,
        Topology::ParameterServer => settings.update == Update::Sync,
        Topology::Single | Topology::Independent => false,
    };
    if !agree || settings.model == ModelName::None {
        return Ok(());
    }
    let replicas = workers.iter().flat_map(|worker| &worker.replicas);
    let digests: BTreeSet<_> = replicas
        .map(|report| report.parameter_digest.as_deref())
        .collect();
    if digests.contains(&None) {
        return Err("a replica reported no digest of its parameters".to_owned());
    }
    match digests.len() {
        1 => Ok(()),
        different => Err(format!(
            "replicas ended with {different} different sets of parameters"
        )),
    }
}

fn parameters_held(settings: &Settings, servers: &[ServerResult]) -> Result<(), String> {
    let held = bytes_held(servers);
    let model = parameter_bytes(settings);
    if held == 0 || held != model {
        return Err(format!(
            "all servers together hold {held} bytes of the {model} of the model"
        ));
    }
    Ok(())
}

fn bytes_held(servers: &[ServerResult]) -> u64 {
    let held = servers.iter().map(|server| server.report.held_bytes);
    held.fold(0, u64::saturating_add)
}

fn cores(device: &DeviceJob, report: &ServerReport) -> Result<(), String> {
    if let DeviceJob::Cpu { cores } = device
        && report.cores != cpu_list(cores)
    {
        let (claimed, asked) = (&report.cores, cpu_list(cores));
        return Err(format!("ran on cores {claimed:?} instead of {asked:?}"));
    }
    Ok(())
}

/// No gradient is lost, none counts twice.
fn updates(
    settings: &Settings,
    workers: &[WorkerResult],
    server: &ServerReport,
) -> Result<(), String> {
    let ServerReport {
        updates,
        gradients,
        dropped,
        ..
    } = *server;
    if settings.update == Update::Async {
        let steps = workers.iter().map(|worker| worker.report.total_steps);
        let steps = steps.fold(0, u64::saturating_add);
        if (gradients, updates, dropped) != (steps, steps, 0) {
            return Err(format!(
                "made {updates} updates of {gradients} gradients and dropped {dropped}, where all \
                 workers together took {steps} steps"
            ));
        }
        return Ok(());
    }
    let (asked, taken) = (
        global_steps(settings),
        workers.len() - settings.backup_workers,
    );
    if updates != asked {
        return Err(format!("made {updates} updates of {asked}"));
    }
    let used = taken as u64 * updates;
    if gradients.checked_sub(dropped) != Some(used) {
        return Err(format!(
            "used {gradients} gradients without {dropped} that it dropped for {updates} updates of \
             {taken} gradients each"
        ));
    }
    Ok(())
}

/// Each step pulls all parameters, and pushes as many gradients.
fn links_to_servers(
    settings: &Settings,
    worker: &WorkerResult,
    servers: &[ServerResult],
) -> Result<(), String> {
    let (model, steps) = (bytes_held(servers), worker.report.steps);
    let messages = HEADER_BYTES * (servers.len() * (1 + tensor_count(settings))) as u64;
    let most_a_step = (model as f64 * (1.0 + RELATIVE_SLACK)) as u64 + messages;
    // The pull that finds the end belongs to no step.
    let most = most_a_step.saturating_mul(steps + 1);
    let total = |of: fn(&LinkReport) -> u64| {
        let bytes = worker.links.iter().map(of);
        bytes.fold(0, u64::saturating_add)
    };
    let pulled = total(|link| link.pulled_bytes);
    let pushed = total(|link| link.pushed_bytes);
    for (way, moved) in [("pulled", pulled), ("pushed", pushed)] {
        if !(model.saturating_mul(steps)..=most).contains(&moved) {
            return Err(format!(
                "{way} {moved} bytes in {steps} steps of a model of {model} bytes"
            ));
        }
    }
    Ok(())
}

fn tensor_count(settings: &Settings) -> usize {
    settings.tensors().len()
}

/// In a ring of `R` ranks each sends `2 (R − 1) / R` of all gradients a step (Patarasuk, Yuan 2009),
/// but for shares that do not divide. With GPUs every replica may be a rank.
fn links_of_ring(settings: &Settings, worker: &WorkerResult, ranks: usize) -> Result<(), String> {
    if ranks < 2 {
        return Ok(());
    }
    let model = parameter_bytes(settings);
    let steps = worker.report.steps;
    let rounds = 2 * (ranks as u64 - 1);
    let due = (model * rounds * steps) as f64 / ranks as f64;
    let gpus = worker
        .replicas
        .iter()
        .filter(|replica| replica.gpu.is_some());
    let all = (ranks * gpus.count().max(1)) as f64;
    let due_of_all = (model * steps) as f64 * 2.0 * (all - 1.0) / all;
    let uneven = 4 * rounds * tensor_count(settings) as u64;
    let messages = rounds * HEADER_BYTES * tensor_count(settings) as u64;
    let links = worker.links.iter();
    let moved = links
        .map(|link| link.pushed_bytes)
        .fold(0, u64::saturating_add);
    let least = due * (1.0 - RELATIVE_SLACK) - (uneven * steps) as f64;
    let most = due_of_all * (1.0 + RELATIVE_SLACK) + ((uneven + messages) * steps) as f64;
    if (least..=most).contains(&(moved as f64)) {
        return Ok(());
    }
    Err(format!(
        "pushed {moved} bytes in {steps} steps, of {due:.0} in a ring of {ranks} workers with a model \
         of {model} bytes"
    ))
}

#[cfg(test)]
mod tests;
