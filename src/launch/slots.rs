//! Which device each replica and each server gets. In: the settings of a cell and a machine. Out: [`Slots`], or in
//! plain words why the machine cannot run the cell. Starts nothing; looks at no file but whether
//! those of a data set are there.

mod gpus;

use crate::machine::Machine;
use crate::plan::{NO_FUSED_ON_CPU, no_convolution};
use crate::protocol::DeviceJob;
use crate::spec::settings::Settings;
use crate::terms::{
    DeviceKind, DevicePipeline, InputSource, Pipelines, Placement, Topology, Transport,
};
use crate::units::counted;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The devices of one cell on one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Slots {
    /// By rank: one device per replica.
    pub workers: Vec<Vec<DeviceJob>>,
    /// By rank, each with all its cores.
    pub servers: Vec<DeviceJob>,
    /// What `auto` came to.
    pub device_kind: DeviceKind,
    /// Over all workers.
    pub replicas: usize,
    /// Logical CPUs of each replica: `0,1|2,3`.
    pub cores: String,
    /// Those of each server, in the same way.
    pub server_cores: String,
    /// Runnable threads of the cell, input threads included, for each core of the machine.
    pub threads_per_core: f64,
    /// True where replicas and servers have to share cores.
    pub oversubscribed: bool,
    /// True where replicas have to share GPUs.
    pub shared_devices: bool,
}

impl Slots {
    /// The processors of all replicas and servers, each once.
    pub fn cpus(&self) -> Vec<usize> {
        let devices = self.workers.iter().flatten().chain(&self.servers);
        let cores = devices.flat_map(|device| match device {
            DeviceJob::Cpu { cores } | DeviceJob::Cuda { cores, .. } => cores.as_slice(),
        });
        let distinct: BTreeSet<usize> = cores.copied().collect();
        distinct.into_iter().collect()
    }

    /// UUIDs of the GPUs of all replicas, each once, in the order of the replicas.
    pub fn gpus(&self) -> Vec<&str> {
        uuids(self.workers.iter().flatten())
    }

    /// The same with cores in place of GPUs: those of their replicas on the host.
    pub fn on_cores(&self) -> Self {
        let mut slots = self.clone();
        for device in slots.workers.iter_mut().flatten() {
            if let DeviceJob::Cuda { cores, .. } = device {
                *device = DeviceJob::Cpu {
                    cores: std::mem::take(cores),
                };
            }
        }
        slots
    }
}

/// UUIDs of the GPUs among some devices, each once, in the order of its first use.
pub fn uuids<'a>(devices: impl IntoIterator<Item = &'a DeviceJob>) -> Vec<&'a str> {
    let mut uuids: Vec<&str> = Vec::new();
    for device in devices {
        if let DeviceJob::Cuda { uuid, .. } = device
            && !uuids.contains(&uuid.as_str())
        {
            uuids.push(uuid);
        }
    }
    uuids
}

/// Gives every replica and every server of a cell its device.
///
/// # Errors
/// What the cell needs and the machine has not: the reason of a skipped cell.
pub fn assign(settings: &Settings, machine: &Machine) -> Result<Slots, String> {
    input_files_are_there(settings)?;
    let kind = device_kind(settings, machine);
    convolution_is_there(settings, kind)?;
    match kind {
        DeviceKind::Cuda => gpus::assign(settings, machine),
        _ => {
            needs_no_gpu(settings)?;
            assign_cores(settings, machine)
        }
    }
}

/// How many workers a cell has.
pub fn world_size(settings: &Settings) -> usize {
    match settings.topology {
        Topology::Single | Topology::Replicated => 1,
        Topology::Independent | Topology::AllReduce | Topology::ParameterServer => settings.workers,
    }
}

/// How many servers a cell has.
fn servers(settings: &Settings) -> usize {
    match settings.topology {
        Topology::ParameterServer => settings.servers,
        _ => 0,
    }
}

/// What the replicas of a cell live on here. A machine with GPUs never falls back to its CPU by itself.
pub fn device_kind(settings: &Settings, machine: &Machine) -> DeviceKind {
    match settings.device_kind {
        DeviceKind::Auto if machine.gpus.is_empty() => DeviceKind::Cpu,
        DeviceKind::Auto => DeviceKind::Cuda,
        declared => declared,
    }
}

fn convolution_is_there(settings: &Settings, kind: DeviceKind) -> Result<(), String> {
    match no_convolution(settings.convolution, kind) {
        Some(reason) => Err(reason.to_owned()),
        None => Ok(()),
    }
}

/// What a cell asks for that only GPUs have, where `auto` came to the CPU.
fn needs_no_gpu(settings: &Settings) -> Result<(), String> {
    let on_device = settings.input_placement == Placement::Device;
    if on_device && settings.device_pipeline == DevicePipeline::Fused {
        return Err(NO_FUSED_ON_CPU.to_owned());
    }
    if settings.transport == Transport::Nccl {
        return Err(
            "nccl connects GPUs: cluster.transport = \"auto\" takes it where it can".into(),
        );
    }
    Ok(())
}

fn assign_cores(settings: &Settings, machine: &Machine) -> Result<Slots, String> {
    let workers = world_size(settings);
    let replicas = workers * settings.devices_per_worker;
    let oversubscribed = needed_cores(settings, replicas) > machine.cores.len();
    if oversubscribed && !settings.oversubscribe {
        return Err(too_few_cores(settings, replicas, machine));
    }
    let mut deck = Deck::of(machine);
    let sets = deck.deal(replicas, settings.device_threads);
    let server_sets = deck.deal(servers(settings), settings.server_threads);
    let threads = needed_cores(settings, replicas) + input_threads(settings);
    Ok(Slots {
        device_kind: DeviceKind::Cpu,
        replicas,
        cores: cores_text(&sets),
        server_cores: cores_text(&server_sets),
        threads_per_core: threads as f64 / machine.cores.len() as f64,
        oversubscribed,
        shared_devices: false,
        workers: sets
            .chunks(settings.devices_per_worker)
            .map(devices)
            .collect(),
        servers: devices(&server_sets),
    })
}

/// Cores of a machine, which are dealt out: whole cores first, each by its first logical CPU; then again
/// from the start.
struct Deck<'a>(Box<dyn Iterator<Item = usize> + 'a>);

impl<'a> Deck<'a> {
    fn of(machine: &'a Machine) -> Self {
        Self(Box::new(machine.cores.iter().map(|core| core[0]).cycle()))
    }

    /// The cores of `count` devices of `each` cores.
    fn deal(&mut self, count: usize, each: usize) -> Vec<Vec<usize>> {
        let mut set = || self.0.by_ref().take(each).collect();
        (0..count).map(|_| set()).collect()
    }
}

fn needed_cores(settings: &Settings, replicas: usize) -> usize {
    replicas * settings.device_threads + servers(settings) * settings.server_threads
}

fn devices(sets: &[Vec<usize>]) -> Vec<DeviceJob> {
    let device = |cores: &Vec<usize>| DeviceJob::Cpu {
        cores: cores.clone(),
    };
    sets.iter().map(device).collect()
}

fn cores_text(sets: &[Vec<usize>]) -> String {
    let list = |cores: &Vec<usize>| {
        cores
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    sets.iter().map(list).collect::<Vec<_>>().join("|")
}

fn too_few_cores(settings: &Settings, replicas: usize, machine: &Machine) -> String {
    let each = |count: usize, noun: &str, threads: usize| {
        let (count, threads) = (
            counted(count as u64, noun),
            counted(threads as u64, "thread"),
        );
        format!("{count} of {threads}")
    };
    let mut what = each(replicas, "CPU device", settings.device_threads);
    if servers(settings) > 0 {
        what += " and ";
        what += &each(servers(settings), "server", settings.server_threads);
    }
    format!(
        "needs {} for {what}; this machine has {}: \
         set devices.oversubscribe = true to run it anyway, marked",
        counted(needed_cores(settings, replicas) as u64, "core"),
        machine.cores_text(),
    )
}

/// Threads that decode and distort on the host ahead of the step, and can run beside those of replicas
/// and servers.
fn input_threads(settings: &Settings) -> usize {
    let workers = world_size(settings);
    let replicas = workers * settings.devices_per_worker;
    let distorted = matches!(
        settings.input_source,
        InputSource::Cifar10 | InputSource::Generated
    );
    let pipelines = match settings.pipelines {
        _ if !distorted || settings.input_placement == Placement::Device => 0,
        Pipelines::PerReplica => replicas,
        Pipelines::Shared => workers,
    };
    pipelines * settings.input_threads
}

/// The five training files of the CIFAR-10 binary distribution.
fn training_files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    (1..=5).map(|number| directory.join(format!("data_batch_{number}.bin")))
}

fn input_files_are_there(settings: &Settings) -> Result<(), String> {
    if settings.input_source != InputSource::Cifar10 {
        return Ok(());
    }
    let directory = Path::new(&settings.input_directory);
    let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    match training_files(&directory).find(|path| !path.is_file()) {
        None => Ok(()),
        Some(missing) => Err(format!(
            "needs the CIFAR-10 binary files; {} is not there: set input.directory to the folder \
             that holds data_batch_1.bin to data_batch_5.bin",
            missing.display()
        )),
    }
}

#[cfg(test)]
mod tests;
