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

pub mod all_reduce;
pub mod group;
pub mod lost;
pub mod parameter_server;
pub mod transport;

use super::clock::StepClock;
use super::parameters::{Memory, Parameters};
use crate::protocol::{Job, LinkReport};
use crate::terms::{RoleName, Topology};
use anyhow::Result;
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
    /// With `all-reduce`, where its neighbour calls it.
    listener: Option<Listener>,
}

impl Meeting {
    /// Binds what other processes need of this worker.
    pub fn bind(job: &Job) -> Result<Self> {
        let listens = job.settings.topology == Topology::AllReduce && job.world_size > 1;
        let bind = || {
            let me = Peer {
                role: RoleName::Worker,
                rank: job.rank,
            };
            let transport = transport::resolve(&job.settings);
            Listener::bind(transport, &Token::parse(&job.token)?, me)
        };
        Ok(Self {
            listener: listens.then(bind).transpose()?,
        })
    }

    /// What the harness tells the others.
    pub fn address(&self) -> Result<Option<String>> {
        self.listener.as_ref().map(Listener::address).transpose()
    }

    /// Connects to `peers`, whose addresses the harness has told. None for a topology without exchange
    /// between processes.
    pub fn join(
        self,
        job: &Job,
        peers: &[String],
        parameters: &Parameters,
    ) -> Result<Option<Box<dyn Exchange>>> {
        Ok(match (job.settings.topology, self.listener) {
            (Topology::ParameterServer, _) => {
                Some(parameter_server::connect(job, peers, parameters)?)
            }
            (Topology::AllReduce, Some(listener)) => {
                Some(all_reduce::connect(job, &listener, peers, parameters)?)
            }
            _ => None,
        })
    }
}
