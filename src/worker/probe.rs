//! What the machine can do at most of what a cell asks of it. In: the settings of the cell, and the
//! cores of a worker and of who it talks to. Out: one [`Ceiling`] for each part of the exchange, the
//! median of some rounds.
//!
//! Two threads, each on a core of its own, stand for the two processes: the kernel takes the same paths
//! for both. What is measured shares no code with what it judges: no handshake, no heads, no locks, and
//! of the real exchange only the sizes. The tensors of a small model move many times in a round.
//!
//! | ceiling | what is done | bytes that count |
//! |---|---|---|
//! | copy | all tensors from one array to another, on the worker's core | of one array |
//! | one-way | all tensors from the worker to the other side | those that cross |
//! | both-ways | and back after that | those of both ways |
//! | all-reduce | what two ranks of a ring read, write and send, without waiting | of the model, once |
//! | apply | what an update reads and writes | all |
//!
//! In shared memory the other side uses numbers where they lie: one-way is a copy into it by the
//! worker's core, and the way back a copy out of it.
//!
//! A cell on GPUs has ceilings of these too: see [`gpu`].

mod apply;
pub mod gpu;
mod memory;
mod pair;
mod ring;
mod socket;

use super::clock::timed;
use super::exchange::transport;
use super::{Process, events, model, resources};
use crate::protocol::{Ceiling, CeilingOf, DeviceJob, Event, Job, WorkerReport};
use crate::spec::settings::Settings;
use crate::terms::{Topology, Transport};
use anyhow::{Context, Result, bail, ensure};
use gpu::{GpuProbe, Sizes};
use std::path::PathBuf;

/// Rounds that are measured, after one that is not.
const ROUNDS: usize = 5;

/// The life of a probe process between job and exit.
pub fn serve(process: &mut Process<'_>) -> Result<()> {
    let probe = Probe::of(process.job)?;
    process.ready(None)?;
    probe.measure(&mut |event| events::emit(&event))
}

/// A round moves so many bytes at least: less would measure how long the two sides take to meet.
const LEAST_BYTES: usize = 16 << 20;

/// What moves in a round.
#[derive(Debug)]
struct Load {
    /// Scalars of each tensor, in the order in which they travel.
    lengths: Vec<usize>,
    /// How often all of them do.
    again: usize,
}

impl Load {
    fn of(lengths: Vec<usize>) -> Self {
        let bytes = lengths.iter().sum::<usize>() * size_of::<f32>();
        Self {
            lengths,
            again: LEAST_BYTES.div_ceil(bytes.max(1)),
        }
    }

    fn elements(&self) -> usize {
        self.lengths.iter().sum()
    }
}

/// What is to be measured, and where.
#[derive(Debug)]
pub struct Probe {
    settings: Settings,
    transport: Transport,
    load: Load,
    /// Of a worker.
    cores: Vec<usize>,
    /// Of a server, or of another worker.
    peer_cores: Vec<usize>,
    gpus: GpuProbe,
    /// Where kernels of GPUs are kept.
    cache: PathBuf,
}

impl Probe {
    /// # Errors
    /// A job without cores, or with a model that is not built into this version.
    pub fn of(job: &Job) -> Result<Self> {
        let lengths = model::lengths(&job.settings).context("sizes of the model's tensors")?;
        let load = Load::of(lengths);
        let (cpus, gpus) = devices(job)?;
        let cores = cpus.first().context("a probe has the cores of a worker")?;
        Ok(Self {
            transport: transport::resolve(&job.settings),
            settings: job.settings.clone(),
            load,
            peer_cores: cpus.get(1).unwrap_or(cores).clone(),
            cores: cores.clone(),
            gpus: GpuProbe::new(gpus, Sizes::FULL),
            cache: job.cache.join("kernels"),
        })
    }

    /// Measures everything that applies, and tells of each as it is known.
    ///
    /// # Errors
    /// Where the kernel refuses sockets, shared memory or a core.
    pub fn measure(&self, tell: &mut dyn FnMut(Event)) -> Result<()> {
        let tell_ceiling = &mut |ceiling| tell(Event::Ceiling(ceiling));
        self.gpus.measure(&self.cache, tell_ceiling)?;
        if self.bytes() > 0 && self.crosses_host() {
            for of in self.ceilings() {
                let seconds = self
                    .rounds(of)
                    .with_context(|| format!("measuring {of:?}"))?;
                tell(Event::Ceiling(ceiling(of, self.counted_bytes(of), seconds)));
            }
        }
        tell(Event::Finished(WorkerReport {
            peak_memory_bytes: resources::peak_memory_bytes(),
            cpu_seconds: resources::cpu_seconds(),
            ..WorkerReport::default()
        }));
        Ok(())
    }

    /// Whether numbers go from process to process through the host's memory.
    fn crosses_host(&self) -> bool {
        let exchanges = matches!(
            self.settings.topology,
            Topology::ParameterServer | Topology::AllReduce
        );
        exchanges && self.transport != Transport::Nccl
    }

    fn ceilings(&self) -> [CeilingOf; 4] {
        let exchange = match self.settings.topology {
            Topology::AllReduce => CeilingOf::AllReduce,
            _ => CeilingOf::BothWays,
        };
        [
            CeilingOf::Copy,
            CeilingOf::OneWay(self.transport),
            exchange(self.transport),
            CeilingOf::Apply,
        ]
    }

    /// Seconds of each round.
    fn rounds(&self, of: CeilingOf) -> Result<Vec<f64>> {
        let places = [self.cores[0], self.peer_cores[0]];
        match of {
            CeilingOf::Copy => memory::copy(&self.load, places[0]),
            CeilingOf::OneWay(Transport::SharedMemory) => memory::into(&self.load, places[0]),
            CeilingOf::BothWays(Transport::SharedMemory) => {
                memory::into_and_out_of(&self.load, places[0])
            }
            CeilingOf::AllReduce(Transport::SharedMemory) => ring::all_reduce(&self.load, places),
            CeilingOf::OneWay(by) => socket::one_way(by, &self.load, places),
            CeilingOf::BothWays(by) => socket::both_ways(by, &self.load, places),
            CeilingOf::AllReduce(by) => socket::all_reduce(by, &self.load, places),
            CeilingOf::Apply => apply::rounds(&self.settings, &self.load, &self.updating_cores()),
            of_gpus => bail!("{of_gpus:?} is no ceiling of the host"),
        }
    }

    /// A core for each thread of who updates the parameters: its own ones first.
    fn updating_cores(&self) -> Vec<usize> {
        let (own, other, threads) = match self.settings.topology {
            Topology::ParameterServer => {
                (&self.peer_cores, &self.cores, self.settings.server_threads)
            }
            _ => (&self.cores, &self.peer_cores, self.settings.device_threads),
        };
        own.iter()
            .chain(other)
            .copied()
            .cycle()
            .take(threads)
            .collect()
    }

    fn counted_bytes(&self, of: CeilingOf) -> usize {
        match of {
            CeilingOf::BothWays(_) => 2 * self.bytes(),
            CeilingOf::Apply => apply::accesses(&self.settings) * self.bytes(),
            _ => self.bytes(),
        }
    }

    /// Of all tensors, as often as a round moves them.
    fn bytes(&self) -> usize {
        self.load.elements() * size_of::<f32>() * self.load.again
    }
}

/// The cores of each CPU device, and the UUIDs of GPUs.
fn devices(job: &Job) -> Result<(Vec<Vec<usize>>, Vec<String>)> {
    let (mut cpus, mut gpus) = (Vec::new(), Vec::new());
    for device in &job.devices {
        match device {
            DeviceJob::Cpu { cores } => {
                ensure!(!cores.is_empty(), "a device of the probe has no cores");
                cpus.push(cores.clone());
            }
            DeviceJob::Cuda { uuid, .. } => gpus.push(uuid.clone()),
        }
    }
    Ok((cpus, gpus))
}

/// The rates of rounds that move so many bytes each.
fn ceiling(of: CeilingOf, bytes: usize, seconds: Vec<f64>) -> Ceiling {
    let rate = |round: usize| bytes as f64 / seconds[round].max(1e-9) / 1e9;
    spread(of, (0..seconds.len()).map(rate).collect())
}

/// The median of an odd number of rounds, of what is larger where it is faster; but for times.
fn spread(of: CeilingOf, mut rounds: Vec<f64>) -> Ceiling {
    rounds.sort_by(f64::total_cmp);
    if of == CeilingOf::Launch {
        rounds.reverse();
    }
    Ceiling {
        of,
        median: rounds[rounds.len() / 2],
        slowest: rounds[0],
        fastest: rounds[rounds.len() - 1],
    }
}

/// An array for each length. No number is zero, since the kernel may give all untouched pages the same
/// memory.
fn filled(lengths: &[usize]) -> Vec<Vec<f32>> {
    lengths.iter().map(|length| vec![1e-3; *length]).collect()
}

/// Seconds of each measured round.
fn times(mut round: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    round()?;
    let measured = |_| {
        let (result, seconds) = timed(&mut round);
        result.map(|()| seconds)
    };
    (0..ROUNDS).map(measured).collect()
}

/// Does something so many times.
fn repeated(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<()> {
    (0..times).try_for_each(|_| work())
}

#[cfg(test)]
mod tests;
