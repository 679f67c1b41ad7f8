//! Slots on GPUs. In: the settings of a cell and a machine. Out: a GPU for each replica, and the cores of
//! its threads on the host; or why the machine cannot run the cell.

use super::{Deck, Slots, cores_text, devices, input_threads, servers, world_size};
use crate::machine::{Gpu, Machine};
use crate::protocol::DeviceJob;
use crate::spec::settings::Settings;
use crate::terms::{DeviceKind, Transport};
use crate::units::counted;

/// Each replica gets a GPU of its own, in the order of PCI buses over all workers; with
/// `devices.share_devices` they take turns. Servers get their cores first, since they have nothing else;
/// what is left is dealt out in equal parts, at least a core each.
pub(super) fn assign(settings: &Settings, machine: &Machine) -> Result<Slots, String> {
    let replicas = world_size(settings) * settings.devices_per_worker;
    let shared_devices = enough(settings, replicas, machine)?;
    let server_cores = servers(settings) * settings.server_threads;
    let left = machine.cores.len().saturating_sub(server_cores);
    let mut deck = Deck::of(machine);
    let server_sets = deck.deal(servers(settings), settings.server_threads);
    let sets = deck.deal(replicas, (left / replicas).max(1));
    // A replica on a GPU keeps one thread of the host busy.
    let threads = replicas + server_cores + input_threads(settings);
    Ok(Slots {
        device_kind: DeviceKind::Cuda,
        replicas,
        cores: cores_text(&sets),
        server_cores: cores_text(&server_sets),
        threads_per_core: threads as f64 / machine.cores.len() as f64,
        oversubscribed: replicas + server_cores > machine.cores.len(),
        shared_devices,
        workers: on_gpus(sets, machine)
            .chunks(settings.devices_per_worker)
            .map(<[DeviceJob]>::to_vec)
            .collect(),
        servers: devices(&server_sets),
    })
}

/// Whether replicas have to share GPUs, where they may.
fn enough(settings: &Settings, replicas: usize, machine: &Machine) -> Result<bool, String> {
    if machine.gpus.is_empty() {
        return Err(format!("no GPU found by NVML: {}", machine.gpu_message));
    }
    let shared = replicas > machine.gpus.len();
    if shared && !settings.share_devices {
        return Err(format!(
            "needs {} for {}; this machine has {}: set devices.share_devices = true to run it anyway, \
             marked",
            counted(replicas as u64, "GPU"),
            counted(replicas as u64, "replica"),
            machine.gpus_text(),
        ));
    }
    if shared && settings.transport == Transport::Nccl {
        return Err(format!(
            "NCCL refuses two workers on one GPU, and {} share {} here: cluster.transport = \"auto\" \
             takes another way",
            counted(replicas as u64, "replica"),
            counted(machine.gpus.len() as u64, "GPU"),
        ));
    }
    Ok(shared)
}

fn on_gpus(sets: Vec<Vec<usize>>, machine: &Machine) -> Vec<DeviceJob> {
    let gpus = machine.gpus.iter().cycle();
    let device = |(cores, gpu): (Vec<usize>, &Gpu)| DeviceJob::Cuda {
        uuid: gpu.uuid.clone(),
        cores,
    };
    sets.into_iter().zip(gpus).map(device).collect()
}
