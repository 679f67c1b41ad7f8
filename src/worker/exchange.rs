//! What happens between backward and the next forward. In: the gradients of one replica. Out: the
//! next parameters. A topology between processes is one implementation of [`Exchange`]; none has a
//! step loop of its own.
//!
//! ```text
//! replica ─► group::Member ─► mean over the worker's replicas ─► Exchange ─► update here, or on servers
//!                                                                  ├─ none: single, replicated, independent
//!                                                                  ├─ all_reduce
//!                                                                  └─ parameter_server
//! ```
//! GPUs that NCCL connects need none of it: their group sums gradients where they are.

pub mod all_reduce;
pub mod group;
pub mod lost;
pub mod parameter_server;
pub mod transport;

use super::clock::StepClock;
use super::gpu::nccl;
use super::parameters::{Memory, Parameters};
use crate::protocol::{DeviceJob, Job, LinkReport};
use crate::terms::{RoleName, Topology, Transport};
use anyhow::{Context, Result, ensure};
use transport::{Listener, Peer, Token};

/// What a worker does with other processes. Its first replica calls it, while the others wait.
pub trait Exchange: Send {
    /// Brings `parameters` up to date before a forward pass. Nobody else uses them meanwhile. Books
    /// `wait` and `pull`. Not called where the worker updates them itself.
    fn begin(&mut self, parameters: &Parameters, clock: &mut StepClock) -> Result<()>;

    /// The gradient of one variable, by its place in name order, is final while the backward pass goes
    /// on: it may leave. Not called by a worker with several replicas. Books what it does, if that
    /// takes time.
    ///
    /// # Safety
    /// Until `exchange` returns, nobody else writes the memory.
    unsafe fn offer(
        &mut self,
        variable: usize,
        gradient: Memory,
        clock: &mut StepClock,
    ) -> Result<()>;

    /// All gradients of a step, one a variable in name order, those that were offered included. Where
    /// the worker updates the parameters, they are means over all workers afterwards. Books `push`,
    /// `exchange` and `wait`.
    ///
    /// # Safety
    /// While it runs, nobody else uses the memory.
    unsafe fn exchange(&mut self, gradients: &[Memory], clock: &mut StepClock) -> Result<()>;

    /// Says goodbye. Where servers update the parameters, these become the last ones. Off the clock.
    fn finish(&mut self, parameters: &Parameters) -> Result<()>;

    /// Who turns gradients into parameters.
    fn updated_by(&self) -> UpdatedBy;

    /// Updates over all workers at the last `begin` or `finish`, where servers count them.
    fn global_step(&self) -> Option<u64>;

    /// What has crossed each link so far.
    fn links(&self) -> Vec<LinkReport>;
}

/// Who turns gradients into parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdatedBy {
    Worker,
    Servers,
}

/// A worker that others may call before it knows where they are.
pub struct Meeting {
    by: MeetingBy,
}

enum MeetingBy {
    /// Nobody calls it.
    Nothing,
    /// With `all-reduce`, where its neighbour calls it.
    Listener(Listener),
    /// With `all-reduce` over NCCL: what rank 0 has made for all.
    Nccl(Option<nccl::Id>),
}

/// How a worker is joined to other processes.
pub enum Joined {
    Nobody,
    Exchange(Box<dyn Exchange>),
    /// Its GPUs are to be ranks of NCCL.
    Collective(Ranks),
}

/// Where the GPUs of a worker are among all that sum gradients together.
pub struct Ranks {
    pub id: nccl::Id,
    /// The number of its first GPU.
    pub first: usize,
    /// GPUs of all workers.
    pub count: usize,
    /// The next worker, and the one before.
    pub neighbours: [String; 2],
}

/// What other ranks than the first tell, whom nobody calls.
const NOT_CALLED: &str = "nccl";

impl Meeting {
    /// Binds what other processes need of this worker.
    ///
    /// # Errors
    /// Where it cannot listen, or should sum by NCCL and cannot.
    pub fn bind(job: &Job) -> Result<Self> {
        let meets = job.settings.topology == Topology::AllReduce && job.world_size > 1;
        let by = match meets {
            false => MeetingBy::Nothing,
            true if sums_by_nccl(job)? => {
                let id = (job.rank == 0).then(nccl::Id::new);
                MeetingBy::Nccl(id.transpose()?)
            }
            true => {
                let me = peer(job.rank);
                let transport = transport::resolve(&job.settings);
                let listener = Listener::bind(transport, &Token::parse(&job.token)?, me);
                MeetingBy::Listener(listener?)
            }
        };
        Ok(Self { by })
    }

    /// What the harness tells the others.
    pub fn address(&self) -> Result<Option<String>> {
        match &self.by {
            MeetingBy::Nothing => Ok(None),
            MeetingBy::Listener(listener) => listener.address().map(Some),
            MeetingBy::Nccl(Some(id)) => Ok(Some(id.to_string())),
            MeetingBy::Nccl(None) => Ok(Some(NOT_CALLED.to_owned())),
        }
    }

    /// Connects to `peers`, whose addresses the harness has told.
    pub fn join(self, job: &Job, peers: &[String], parameters: &Parameters) -> Result<Joined> {
        Ok(match (job.settings.topology, self.by) {
            (Topology::ParameterServer, _) => {
                Joined::Exchange(parameter_server::connect(job, peers, parameters)?)
            }
            (_, MeetingBy::Listener(listener)) => {
                Joined::Exchange(all_reduce::connect(job, &listener, peers, parameters)?)
            }
            (_, MeetingBy::Nccl(_)) => Joined::Collective(ranks(job, peers)?),
            (_, MeetingBy::Nothing) => Joined::Nobody,
        })
    }
}

fn peer(rank: usize) -> Peer {
    Peer {
        role: RoleName::Worker,
        rank,
    }
}

/// Whether the gradients of all workers are summed by NCCL.
fn sums_by_nccl(job: &Job) -> Result<bool> {
    let settings = &job.settings;
    let on_gpu = |device: &DeviceJob| matches!(device, DeviceJob::Cuda { .. });
    let on_gpus = job.devices.iter().all(on_gpu);
    if settings.transport == Transport::Nccl {
        ensure!(on_gpus, "nccl connects GPUs, not CPU devices");
        ensure!(nccl::BUILT_IN, "{}", nccl::NOT_BUILT_IN);
    }
    Ok(nccl::BUILT_IN && on_gpus && transport::takes_nccl(settings))
}

/// All workers have equally many GPUs.
fn ranks(job: &Job, peers: &[String]) -> Result<Ranks> {
    let (workers, gpus) = (job.world_size, job.devices.len());
    let id = peers.first().context("no address came of worker 0")?;
    let neighbours = [job.rank + 1, job.rank + workers - 1];
    Ok(Ranks {
        id: nccl::Id::parse(id)?,
        first: job.rank * gpus,
        count: workers * gpus,
        neighbours: neighbours.map(|rank| peer(rank % workers).to_string()),
    })
}
