//! Replicas on GPUs, each with variables of its own, which stay equal. In: the gradients of one replica,
//! on its GPU. Out: the next parameters there. How gradients meet is decided when the group is formed:
//!
//! | way | who | waits for the GPU |
//! |---|---|---|
//! | alone | a replica that shares with nobody | never |
//! | collective | GPUs that NCCL connects, of one process or of several | never |
//! | peers | GPUs of one process without NCCL, replicas that share a GPU | never, but hosts meet twice |
//! | through the host | `devices.parameters = "host"`, parameter servers, all-reduce without NCCL | once a step |

use super::means::Means;
use super::on_host;
use super::peers::{self, Peers};
use super::through_host::ThroughHost;
use crate::protocol::LinkReport;
use crate::spec::settings::Settings;
use crate::terms::{Phase, Placement, Topology};
use crate::worker::clock::StepClock;
use crate::worker::exchange::{Exchange, Ranks};
use crate::worker::gpu::nccl::{self, Rank};
use crate::worker::gpu::{Gpu, Span};
use crate::worker::optimizer::{Config, GpuOptimizer};
use crate::worker::parameters::mirror::Mirror;
use crate::worker::parameters::{Memory, Parameters};
use anyhow::{Context, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// One member of a group on GPUs.
pub struct GpuMember {
    parameters: Arc<Parameters>,
    gpu: Gpu,
    /// None where the host or servers update, and without parameters.
    optimizer: Option<GpuOptimizer>,
    way: Way,
}

/// How gradients meet.
enum Way {
    Alone,
    Collective(InCollective),
    Peers(Box<Peers>),
    ThroughHost(Box<ThroughHost>),
}

/// A rank of NCCL.
struct InCollective {
    rank: Rank,
    /// Sums that were put on the queue.
    sums: u64,
    /// The neighbours in other processes whose links this member reports.
    neighbours: Vec<String>,
}

/// Makes the members of a group, each with the parameters that it has on its own GPU.
pub fn form(settings: &Settings, replicas: &[Arc<Parameters>]) -> Result<Vec<GpuMember>> {
    let gpus = replicas.iter().map(|parameters| parameters.gpu().cloned());
    let gpus: Option<Vec<Gpu>> = gpus.collect();
    let gpus = gpus.context("a group is on GPUs or on CPUs, not on both")?;
    let updates_on_gpu = !updates_on_host(settings);
    let parts = replicas
        .iter()
        .zip(&gpus)
        .zip(ways(settings, replicas, &gpus)?);
    let member = |((parameters, gpu), way): ((&Arc<Parameters>, &Gpu), Way)| {
        let spans = parameters.spans();
        let optimizer = (updates_on_gpu && !spans.is_empty())
            .then(|| GpuOptimizer::new(Config::of(settings), gpu, spans))
            .transpose()?;
        Ok(GpuMember {
            parameters: parameters.clone(),
            gpu: gpu.clone(),
            optimizer,
            way,
        })
    };
    parts.map(member).collect()
}

/// The host updates the parameters, or servers do.
fn updates_on_host(settings: &Settings) -> bool {
    match settings.topology {
        Topology::Replicated => settings.parameters == Placement::Host,
        Topology::ParameterServer => true,
        Topology::Single | Topology::Independent | Topology::AllReduce => false,
    }
}

fn ways(settings: &Settings, replicas: &[Arc<Parameters>], gpus: &[Gpu]) -> Result<Vec<Way>> {
    let between_workers = settings.topology == Topology::AllReduce && settings.workers > 1;
    if replicas[0].elements() == 0 {
        return Ok(gpus.iter().map(|_| Way::Alone).collect());
    }
    if between_workers || updates_on_host(settings) {
        return through_host(settings, replicas, gpus);
    }
    if gpus.len() == 1 {
        return Ok(vec![Way::Alone]);
    }
    if nccl::BUILT_IN && nccl::distinct(gpus) {
        let ranks = Rank::join(gpus, 0, gpus.len(), &nccl::Id::new()?)?;
        let way = |rank| Way::Collective(InCollective::new(rank, Vec::new()));
        return Ok(ranks.into_iter().map(way).collect());
    }
    let peers = peers::form(gpus, &lengths(&replicas[0]))?;
    Ok(peers.into_iter().map(Box::new).map(Way::Peers).collect())
}

fn lengths(parameters: &Parameters) -> Vec<usize> {
    parameters.memory().iter().map(Memory::len).collect()
}

/// The memory of the first replica's parameters on the host is what all members update, where the host
/// does.
fn through_host(
    settings: &Settings,
    replicas: &[Arc<Parameters>],
    gpus: &[Gpu],
) -> Result<Vec<Way>> {
    let lengths = lengths(&replicas[0]);
    let means = match gpus {
        [_] => Means::none(),
        _ => Means::page_locked(Mirror::new(&gpus[0], &lengths)?),
    };
    let on_host = updates_on_host(settings);
    let optimizer = on_host.then(|| Config::of(settings));
    let members = on_host::form(optimizer, &replicas[0], gpus.len(), means);
    let way = |(host, gpu)| {
        let gradients = Mirror::new(gpu, &lengths)?;
        let way = ThroughHost::new(host, gradients, !on_host);
        Ok(Way::ThroughHost(Box::new(way)))
    };
    members.into_iter().zip(gpus).map(way).collect()
}

/// Lets the members of a group exchange with other processes through the host.
pub fn join(members: &mut [&mut GpuMember], exchange: Box<dyn Exchange>) {
    let hosts = members
        .iter_mut()
        .filter_map(|member| match &mut member.way {
            Way::ThroughHost(way) => Some(&mut way.host),
            _ => None,
        });
    on_host::join(&mut hosts.collect::<Vec<_>>(), exchange);
}

/// Lets the members of a group sum gradients with the GPUs of other processes.
///
/// # Errors
/// NCCL's words.
pub fn join_collective(members: &mut [&mut GpuMember], ranks: &Ranks) -> Result<()> {
    let gpus: Vec<Gpu> = members.iter().map(|member| member.gpu.clone()).collect();
    let joined = Rank::join(&gpus, ranks.first, ranks.count, &ranks.id)?;
    for (at, (member, rank)) in members.iter_mut().zip(joined).enumerate() {
        let neighbours = match at {
            0 => ranks.neighbours.to_vec(),
            _ => Vec::new(),
        };
        member.way = Way::Collective(InCollective::new(rank, neighbours));
    }
    Ok(())
}

impl InCollective {
    fn new(rank: Rank, neighbours: Vec<String>) -> Self {
        Self {
            rank,
            sums: 0,
            neighbours,
        }
    }

    /// What a ring carries: into this GPU, and out of it, as much again.
    fn ring_bytes(&self, parameters: &Parameters) -> u64 {
        let bytes = (parameters.elements() * size_of::<f32>()) as u64;
        self.sums * nccl::ring_bytes(self.rank.ranks(), bytes)
    }

    /// Those of the worker, whose first GPU receives from the worker before and whose last one sends to the
    /// next. How long that takes only NCCL knows.
    fn links(&self, parameters: &Parameters) -> Vec<LinkReport> {
        let bytes = self.ring_bytes(parameters);
        let link = |peer: &String, pushed: bool, pulled: bool| LinkReport {
            peer: peer.clone(),
            pushed_bytes: if pushed { bytes } else { 0 },
            pulled_bytes: if pulled { bytes } else { 0 },
            ..LinkReport::default()
        };
        match &self.neighbours[..] {
            [next, before] if next != before => {
                vec![link(next, true, false), link(before, false, true)]
            }
            [both, ..] => vec![link(both, true, true)],
            [] => Vec::new(),
        }
    }
}

/// What the step loop calls, through `Member`.
impl GpuMember {
    pub fn begin(&mut self, clock: &mut StepClock) -> Result<()> {
        match &mut self.way {
            Way::ThroughHost(way) => way.begin(self.gpu.queue(), &self.parameters, clock),
            _ => Ok(()),
        }
    }

    /// Turns the gradients of this replica's batch into its next parameters, later: when it returns, the
    /// work is on the queue. Books `exchange` and `apply`, and what goes through the host as there.
    pub fn update(&mut self, gradients: &[Tensor], clock: &mut StepClock) -> Result<()> {
        let spans = gradients.iter().map(|gradient| self.gpu.span(gradient));
        let mut spans: Vec<Span<f32>> = spans.collect::<candle_core::Result<_>>()?;
        let mut scale = 1.0;
        match &mut self.way {
            Way::Alone => {}
            Way::Collective(way) => {
                way.rank.sum(&self.gpu, &spans)?;
                way.sums += 1;
                scale = 1.0 / way.rank.ranks() as f32;
                clock.book(Phase::Exchange);
            }
            Way::Peers(way) => {
                spans = way.average(&spans)?;
                clock.book(Phase::Exchange);
            }
            Way::ThroughHost(way) => {
                way.update(self.gpu.queue(), &self.parameters, &spans, clock)?;
            }
        }
        if let Some(optimizer) = &mut self.optimizer {
            optimizer.step(&spans, scale)?;
            clock.book(Phase::Apply);
        }
        Ok(())
    }

    /// Whether an update is nothing but work on the queue, which a graph can replay.
    pub fn is_queued(&self) -> bool {
        matches!(self.way, Way::Alone | Way::Collective(_))
    }

    /// An update was replayed.
    pub fn note_replay(&mut self) {
        if let Way::Collective(way) = &mut self.way {
            way.sums += 1;
        }
    }

    pub fn finish(&mut self) -> Result<()> {
        match &mut self.way {
            Way::ThroughHost(way) => way.finish(self.gpu.queue(), &self.parameters),
            _ => Ok(self.gpu.synchronize()?),
        }
    }

    pub fn global_step(&self) -> Option<u64> {
        match &self.way {
            Way::ThroughHost(way) => way.host.global_step(),
            _ => None,
        }
    }

    /// Bytes that have come to this replica from others of its worker, or crossed between its GPU and the
    /// host.
    pub fn exchanged_bytes(&self) -> u64 {
        match &self.way {
            Way::Alone => 0,
            // What comes from another worker is in its link.
            Way::Collective(way) if !way.neighbours.is_empty() => 0,
            Way::Collective(way) => way.ring_bytes(&self.parameters),
            Way::Peers(way) => way.copied_bytes(),
            Way::ThroughHost(way) => way.copied_bytes(),
        }
    }

    pub fn links(&self) -> Vec<LinkReport> {
        match &self.way {
            Way::Collective(way) => way.links(&self.parameters),
            Way::ThroughHost(way) => way.host.links(),
            Way::Alone | Way::Peers(_) => Vec::new(),
        }
    }
}
