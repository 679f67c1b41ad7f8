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

mod apply;
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
}

impl Probe {
    /// # Errors
    /// A job without cores, or with a model that is not built into this version.
    pub fn of(job: &Job) -> Result<Self> {
        let lengths = model::lengths(&job.settings).context("sizes of the model's tensors")?;
        let load = Load::of(lengths);
        let cores = cores(job.devices.first())?;
        Ok(Self {
            transport: transport::resolve(&job.settings),
            settings: job.settings.clone(),
            load,
            peer_cores: job
                .devices
                .get(1)
                .map_or(Ok(cores.clone()), |device| self::cores(Some(device)))?,
            cores,
        })
    }

    /// Measures everything that applies, and tells of each as it is known.
    ///
    /// # Errors
    /// Where the kernel refuses sockets, shared memory or a core.
    pub fn measure(&self, tell: &mut dyn FnMut(Event)) -> Result<()> {
        if self.bytes() > 0 {
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
            CeilingOf::Copy | CeilingOf::OneWay(_) | CeilingOf::AllReduce(_) => self.bytes(),
            CeilingOf::BothWays(_) => 2 * self.bytes(),
            CeilingOf::Apply => apply::accesses(&self.settings) * self.bytes(),
        }
    }

    /// Of all tensors, as often as a round moves them.
    fn bytes(&self) -> usize {
        self.load.elements() * size_of::<f32>() * self.load.again
    }
}

fn cores(device: Option<&DeviceJob>) -> Result<Vec<usize>> {
    match device {
        Some(DeviceJob::Cpu { cores }) => {
            ensure!(!cores.is_empty(), "a device of the probe has no cores");
            Ok(cores.clone())
        }
        _ => bail!("a probe measures CPUs alone"),
    }
}

/// The median of an odd number of rounds.
fn ceiling(of: CeilingOf, bytes: usize, mut seconds: Vec<f64>) -> Ceiling {
    seconds.sort_by(f64::total_cmp);
    let rate = |round: usize| bytes as f64 / seconds[round].max(1e-9) / 1e9;
    Ceiling {
        of,
        gigabytes_per_second: rate(ROUNDS / 2),
        slowest: rate(ROUNDS - 1),
        fastest: rate(0),
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
