//! Who takes part in a repeat. In: the settings and slots of a cell. Out: one [`Part`] a process, each
//! with its job. Starts nothing.

use super::RepeatRequest;
use super::slots::Slots;
use crate::protocol::{DeviceJob, Job, VERSION};
use crate::spec::settings::Settings;
use crate::terms::{RoleName, Topology};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Cores that a probe gets: one for each end of a transport.
const PROBE_CORES: usize = 2;

/// One process of a repeat: `worker 3`, `server 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    pub role: RoleName,
    /// From 0 within the role.
    pub rank: usize,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.rank)
    }
}

/// What one process is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub name: Name,
    /// One per replica of a worker; one of a server, with its cores; one per core of a probe.
    pub devices: Vec<DeviceJob>,
    /// Threads that each of its thread pools may have.
    pub threads: usize,
    /// Whether others call it, so that it has to tell an address.
    pub listens: bool,
    /// The processes that it has a link to.
    pub peers: Vec<Name>,
}

/// Workers by rank, then servers by rank.
pub fn of_cell(settings: &Settings, slots: &Slots) -> Vec<Part> {
    let names = |role, count| (0..count).map(move |rank| Name { role, rank });
    let workers: Vec<Name> = names(RoleName::Worker, slots.workers.len()).collect();
    let servers: Vec<Name> = names(RoleName::Server, slots.servers.len()).collect();
    let ring = settings.topology == Topology::AllReduce && workers.len() > 1;
    let worker = |name: &Name| Part {
        name: *name,
        devices: slots.workers[name.rank].clone(),
        threads: settings.device_threads,
        listens: ring,
        peers: match ring {
            true => workers
                .iter()
                .copied()
                .filter(|peer| peer != name)
                .collect(),
            false => servers.clone(),
        },
    };
    let server = |name: &Name| Part {
        name: *name,
        devices: vec![slots.servers[name.rank].clone()],
        threads: settings.server_threads,
        listens: true,
        peers: workers.clone(),
    };
    let parts = workers.iter().map(worker);
    parts.chain(servers.iter().map(server)).collect()
}

/// A process that measures what the cores and the GPUs of a cell can do at most.
pub fn of_probe(slots: &Slots) -> Vec<Part> {
    let mut cores = Vec::new();
    for device in slots.workers.iter().flatten().chain(&slots.servers) {
        let (DeviceJob::Cpu { cores: own } | DeviceJob::Cuda { cores: own, .. }) = device;
        let others = own.iter().filter(|core| !cores.contains(*core));
        cores.extend(others.copied().collect::<Vec<_>>());
    }
    let device = |core: &usize| DeviceJob::Cpu { cores: vec![*core] };
    let gpus = gpus_once(slots);
    vec![Part {
        name: Name {
            role: RoleName::Probe,
            rank: 0,
        },
        devices: cores
            .iter()
            .take(PROBE_CORES)
            .map(device)
            .chain(gpus)
            .collect(),
        threads: 1,
        listens: false,
        peers: Vec::new(),
    }]
}

/// Each GPU of the workers once.
fn gpus_once(slots: &Slots) -> Vec<DeviceJob> {
    let mut gpus: Vec<DeviceJob> = Vec::new();
    for device in slots.workers.iter().flatten() {
        let known = |gpu: &DeviceJob| gpu.uuid() == device.uuid();
        if device.uuid().is_some() && !gpus.iter().any(known) {
            gpus.push(device.clone());
        }
    }
    gpus
}

impl Part {
    /// All that the process is told of the experiment.
    pub fn job(&self, request: &RepeatRequest<'_>, token: &str) -> Job {
        let settings = request.settings;
        let first = self.name.role == RoleName::Worker && self.name.rank == 0;
        let writes = first && settings.checkpoint_every.is_some();
        Job {
            protocol: VERSION,
            role: self.name.role,
            rank: self.name.rank,
            world_size: request.slots.workers.len(),
            token: token.to_owned(),
            settings: settings.clone(),
            devices: self.devices.clone(),
            cache: request.cache.to_owned(),
            checkpoints: writes.then(|| beside(request.log, ".checkpoints")),
        }
    }

    /// Where its stderr goes: `<log>.worker0.log`.
    pub fn log(&self, log: &Path) -> PathBuf {
        beside(log, &format!(".{}{}.log", self.name.role, self.name.rank))
    }
}

fn beside(log: &Path, ending: &str) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// 64 hexadecimal digits that nobody can guess.
pub fn token() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::fixture::{cluster, settings, slots};

    #[test]
    fn workers_of_servers_have_links_to_them_alone() {
        let (settings, slots) = cluster();
        let parts = of_cell(&settings, &slots);
        let shown: Vec<String> = parts.iter().map(|part| part.name.to_string()).collect();
        assert_eq!(shown, ["worker 0", "worker 1", "server 0"]);
        assert_eq!(parts[0].peers, [parts[2].name]);
        assert_eq!(parts[2].peers, [parts[0].name, parts[1].name]);
        let listens: Vec<bool> = parts.iter().map(|part| part.listens).collect();
        assert_eq!(listens, [false, false, true]);
        assert_eq!(parts[2].devices, slots.servers);
    }

    #[test]
    fn workers_of_a_ring_are_called_by_each_other() {
        let ring = |workers| Settings {
            topology: Topology::AllReduce,
            workers,
            ..settings()
        };
        let parts = of_cell(&ring(3), &slots(&ring(3)));
        assert_eq!(parts[1].peers, [parts[0].name, parts[2].name]);
        assert!(parts.iter().all(|part| part.listens));
        let alone = of_cell(&ring(1), &slots(&ring(1)));
        assert!(!alone[0].listens && alone[0].peers.is_empty());
    }

    #[test]
    fn a_probe_has_a_device_for_each_of_two_cores() {
        let (settings, _) = cluster();
        let [probe] = &of_probe(&slots(&settings))[..] else {
            panic!("one process");
        };
        let core = |core| DeviceJob::Cpu { cores: vec![core] };
        assert_eq!(probe.devices, [core(0), core(1)]);
    }

    #[test]
    fn tokens_are_of_the_kernel() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert!(one.len() == 64 && one.chars().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(one, other);
    }
}
