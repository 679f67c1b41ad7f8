//! What the machine can do at most, beside what each repeat has reached. In: the settings of the cells
//! of a block, and someone who probes. Out: [`Limits`], measured once a block for each different
//! exchange. Starts no process itself.

use crate::launch::{Interrupted, Measured, ProbeError};
use crate::protocol::{Ceiling, CeilingOf};
use crate::spec::settings::Settings;
use crate::table::{Ceilings, GpuCeilings};
use crate::terms::{ModelName, OptimizerName, Topology, Transport};
use crate::worker::exchange::transport;

/// What was probed in the present block.
#[derive(Debug, Default)]
pub struct Probes {
    block: u32,
    known: Vec<(Subject, Limits)>,
}

/// What a probe depends on: cells that have this in common have the same ceilings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// None where nothing crosses between processes.
    pub exchange: Option<Exchange>,
    /// UUIDs, each once.
    pub gpus: Vec<String>,
}

/// What the ceilings of an exchange depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    topology: Topology,
    transport: Transport,
    model: ModelName,
    tensors: Vec<u64>,
    optimizer: OptimizerName,
    /// Of who updates the parameters.
    threads: usize,
}

/// What a probe has measured; nothing where it failed, or there was nothing to measure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits(Vec<Ceiling>);

/// The limits of a cell, and where a probe has just failed, why.
#[derive(Debug)]
pub struct Found {
    pub limits: Limits,
    pub fresh_failure: Option<String>,
}

impl Subject {
    /// None for a cell on cores in which nothing crosses between processes.
    pub fn of(settings: &Settings, gpus: &[&str]) -> Option<Self> {
        let exchange = Exchange::of(settings);
        let gpus: Vec<String> = gpus.iter().map(|uuid| (*uuid).to_owned()).collect();
        (exchange.is_some() || !gpus.is_empty()).then_some(Self { exchange, gpus })
    }
}

impl Exchange {
    fn of(settings: &Settings) -> Option<Self> {
        let threads = match settings.topology {
            Topology::ParameterServer => settings.server_threads,
            Topology::AllReduce if settings.workers > 1 => settings.device_threads,
            _ => return None,
        };
        Some(Self {
            topology: settings.topology,
            transport: transport::resolve(settings),
            model: settings.model,
            tensors: settings.tensors(),
            optimizer: settings.optimizer,
            threads,
        })
    }
}

impl Probes {
    /// The limits of a cell, by `probe` where its subject is new in this block. A probe that fails is
    /// not tried again.
    ///
    /// # Errors
    /// Only where the user stopped the probe.
    pub fn limits(
        &mut self,
        block: u32,
        subject: Option<Subject>,
        probe: impl FnOnce() -> Result<Vec<Ceiling>, ProbeError>,
    ) -> Result<Found, Interrupted> {
        if block != self.block {
            (self.block, self.known) = (block, Vec::new());
        }
        let found = |limits: Limits, fresh_failure| Found {
            limits,
            fresh_failure,
        };
        let Some(subject) = subject else {
            return Ok(found(Limits::default(), None));
        };
        if let Some((_, limits)) = self.known.iter().find(|(known, _)| *known == subject) {
            return Ok(found(limits.clone(), None));
        }
        let (limits, failure) = match probe() {
            Ok(ceilings) => (Limits(ceilings), None),
            Err(ProbeError::Failed(reason)) => (Limits::default(), Some(reason)),
            Err(ProbeError::Interrupted(stop)) => return Err(stop),
        };
        self.known.push((subject, limits.clone()));
        Ok(found(limits, failure))
    }
}

impl Limits {
    /// The columns of a repeat.
    pub fn of(&self, settings: &Settings, measured: Option<&Measured>) -> Ceilings {
        let transport = transport::resolve(settings);
        let exchange = match (settings.topology, self.of_nccl(settings)) {
            (_, Some(rate)) => Some(rate),
            (Topology::AllReduce, None) => self.rate(CeilingOf::AllReduce(transport)),
            _ => self.rate(CeilingOf::BothWays(transport)),
        };
        // Servers count both ways, as links do. A rank of an all-reduce receives while it sends: its links
        // count twice the bytes and twice the time of what the ceiling counts once.
        let achieved = measured.and_then(|measured| measured.cluster.exchange_gigabytes_per_second);
        Ceilings {
            copy: self.rate(CeilingOf::Copy),
            one_way: self.rate(CeilingOf::OneWay(transport)),
            exchange,
            apply: self.rate(CeilingOf::Apply),
            share: achieved
                .zip(exchange)
                .map(|(achieved, ceiling)| achieved / ceiling),
            gpu: GpuCeilings {
                host_to_device: self.rate(CeilingOf::HostToDevice),
                device_to_host: self.rate(CeilingOf::DeviceToHost),
                device_to_device: self.rate(CeilingOf::DeviceToDevice),
                gemm: self.rate(CeilingOf::Gemm),
                gemm_tf32: self.rate(CeilingOf::GemmTf32),
                launch_seconds: self.rate(CeilingOf::Launch).map(|micros| micros / 1e6),
            },
        }
    }

    /// Where workers sum by NCCL.
    fn of_nccl(&self, settings: &Settings) -> Option<f64> {
        let takes_it = settings.topology == Topology::AllReduce && transport::takes_nccl(settings);
        self.rate(CeilingOf::Nccl).filter(|_| takes_it)
    }

    fn rate(&self, of: CeilingOf) -> Option<f64> {
        let found = self.0.iter().find(|ceiling| ceiling.of == of);
        found.map(|ceiling| ceiling.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(topology: Topology, workers: usize) -> Settings {
        Settings {
            topology,
            workers,
            transport: Transport::Tcp,
            ..Settings::defaults(ModelName::Mlp)
        }
    }

    fn ceiling(of: CeilingOf, rate: f64) -> Ceiling {
        Ceiling {
            of,
            median: rate,
            slowest: rate,
            fastest: rate,
        }
    }

    fn measured(rate: f64) -> Measured {
        let mut measured = Measured::default();
        measured.cluster.exchange_gigabytes_per_second = Some(rate);
        measured
    }

    #[test]
    fn each_exchange_of_a_block_is_probed_once() {
        let mut probes = Probes::default();
        let mut count = 0;
        let mut ask = |block, settings: &Settings, gpus: &[&str]| {
            probes
                .limits(block, Subject::of(settings, gpus), || {
                    count += 1;
                    Err(ProbeError::Failed("broke".into()))
                })
                .unwrap()
                .fresh_failure
        };
        let servers = settings(Topology::ParameterServer, 1);
        let alone = settings(Topology::Single, 1);
        assert_eq!(ask(1, &servers, &[]).as_deref(), Some("broke"));
        assert_eq!(ask(1, &settings(Topology::ParameterServer, 4), &[]), None);
        assert!(ask(1, &settings(Topology::AllReduce, 2), &[]).is_some());
        assert_eq!(ask(1, &settings(Topology::AllReduce, 1), &[]), None);
        assert_eq!(ask(1, &alone, &[]), None);
        assert!(ask(1, &alone, &["GPU-a"]).is_some());
        assert_eq!(ask(1, &settings(Topology::AllReduce, 1), &["GPU-a"]), None);
        assert!(ask(1, &alone, &["GPU-b"]).is_some());
        assert!(ask(1, &servers, &["GPU-a"]).is_some());
        assert!(ask(2, &servers, &[]).is_some());
        assert_eq!(count, 6);
    }

    #[test]
    fn an_interrupted_probe_is_asked_again() {
        let mut probes = Probes::default();
        let servers = Subject::of(&settings(Topology::ParameterServer, 1), &[]);
        let stopped = probes.limits(1, servers.clone(), || Err(Interrupted.into()));
        assert!(stopped.is_err());
        assert!(probes.limits(1, servers, || Ok(Vec::new())).is_ok());
    }

    #[test]
    fn a_share_compares_what_is_counted_alike() {
        let of = |settings: &Settings, exchange| {
            let limits = Limits(vec![ceiling(CeilingOf::Copy, 9.0), ceiling(exchange, 4.0)]);
            limits.of(settings, Some(&measured(3.0)))
        };
        let servers = of(
            &settings(Topology::ParameterServer, 1),
            CeilingOf::BothWays(Transport::Tcp),
        );
        assert_eq!((servers.copy, servers.apply), (Some(9.0), None));
        assert_eq!((servers.exchange, servers.share), (Some(4.0), Some(0.75)));
        let ring = of(
            &settings(Topology::AllReduce, 2),
            CeilingOf::AllReduce(Transport::Tcp),
        );
        assert_eq!(ring.share, Some(0.75));
    }

    #[test]
    fn what_nccl_sums_has_its_ceiling() {
        let limits = Limits(vec![
            ceiling(CeilingOf::AllReduce(Transport::SharedMemory), 4.0),
            ceiling(CeilingOf::Nccl, 300.0),
        ]);
        let of = |transport, share_devices| {
            let settings = Settings {
                transport,
                share_devices,
                ..settings(Topology::AllReduce, 2)
            };
            limits.of(&settings, None).exchange
        };
        assert_eq!(of(Transport::Auto, false), Some(300.0));
        assert_eq!(of(Transport::Nccl, false), Some(300.0));
        assert_eq!(of(Transport::SharedMemory, false), Some(4.0));
        assert_eq!(of(Transport::Auto, true), Some(4.0), "through the host");
    }

    #[test]
    fn a_gpu_has_ceilings_without_an_exchange() {
        let limits = Limits(vec![
            ceiling(CeilingOf::HostToDevice, 25.0),
            ceiling(CeilingOf::Launch, 2.0),
        ]);
        let columns = limits.of(&settings(Topology::Single, 1), Some(&measured(3.0)));
        let of_gpu = GpuCeilings {
            host_to_device: Some(25.0),
            launch_seconds: Some(2e-6),
            ..GpuCeilings::default()
        };
        let only = Ceilings {
            gpu: of_gpu,
            ..Ceilings::default()
        };
        assert_eq!(columns, only);
    }

    #[test]
    fn without_a_probe_all_columns_are_empty() {
        let servers = settings(Topology::ParameterServer, 1);
        let columns = Limits::default().of(&servers, Some(&measured(3.0)));
        assert_eq!(columns, Ceilings::default());
    }
}
