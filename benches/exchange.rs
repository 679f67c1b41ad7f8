//! The real exchange of a worker with a parameter server, one core each, beside the probe's ceiling of
//! the same transport: 75.5 MB each way, in interleaved rounds, medians.
//!
//!     cargo bench --bench exchange

use anyhow::{Context, Result};
use std::thread;
use xrun::protocol::{CeilingOf, DeviceJob, Event, Job, VERSION};
use xrun::spec::settings::Settings;
use xrun::stats::median;
use xrun::terms::{ModelName, OptimizerName, RoleName, Topology, Transport};
use xrun::worker::clock::StepClock;
use xrun::worker::cores;
use xrun::worker::exchange::Exchange;
use xrun::worker::exchange::parameter_server::{self, server::Server};
use xrun::worker::model;
use xrun::worker::parameters::{Memory, Parameters};
use xrun::worker::probe::Probe;

/// As the program has: large arrays lie in huge pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TRANSPORTS: [Transport; 3] = [Transport::SharedMemory, Transport::Unix, Transport::Tcp];
const ROUNDS: usize = 7;
/// Exchanges of a round; the first one of each transport finds cold memory.
const STEPS: usize = 5;

fn main() -> Result<()> {
    cores::bind(&[0])?;
    let mut clients: Vec<Client> = TRANSPORTS
        .into_iter()
        .enumerate()
        .map(|(number, transport)| Client::start(number, transport))
        .collect::<Result<_>>()?;
    let mut shares = vec![Vec::new(); TRANSPORTS.len()];
    for round in 0..=ROUNDS {
        for (client, shares) in clients.iter_mut().zip(&mut shares) {
            let ceiling = client.ceiling()?;
            let moved = client.round()?;
            // The first round warms up.
            if round > 0 {
                shares.push((moved, ceiling));
            }
        }
    }
    for (client, shares) in clients.into_iter().zip(&shares) {
        report(client.job.settings.transport, shares);
        client.end()?;
    }
    Ok(())
}

fn report(transport: Transport, rounds: &[(f64, f64)]) {
    let of = |part: fn(&(f64, f64)) -> f64| {
        median(&rounds.iter().map(part).collect::<Vec<_>>()).unwrap_or_default()
    };
    println!(
        "{transport:14} exchange {:6.2} GB/s, ceiling {:6.2} GB/s, share {:3.0} % (n = {})",
        of(|round| round.0),
        of(|round| round.1),
        100.0 * of(|round| round.0 / round.1),
        rounds.len()
    );
}

/// A worker with its server, and the gradients that it pushes again and again.
struct Client {
    job: Job,
    exchange: Box<dyn Exchange>,
    parameters: Parameters,
    gradients: Vec<Vec<f32>>,
    server: thread::JoinHandle<Result<()>>,
}

fn job(number: usize, transport: Transport, role: RoleName) -> Job {
    let core = |core| DeviceJob::Cpu { cores: vec![core] };
    Job {
        protocol: VERSION,
        role,
        rank: 0,
        world_size: 1,
        token: format!("{:08x}{number:08x}{:048x}", std::process::id(), 0),
        settings: Settings {
            topology: Topology::ParameterServer,
            servers: 1,
            transport,
            optimizer: OptimizerName::Sgd,
            learning_rate: 1e-9,
            ..Settings::defaults(ModelName::Mlp)
        },
        devices: match role {
            RoleName::Probe => vec![core(0), core(1)],
            RoleName::Server => vec![core(1)],
            RoleName::Worker => vec![core(0)],
        },
        cache: std::env::temp_dir(),
        checkpoints: None,
    }
}

impl Client {
    fn start(number: usize, transport: Transport) -> Result<Self> {
        let server = Server::bind(&job(number, transport, RoleName::Server))?;
        let addresses = [server.address()?];
        let server = thread::spawn(move || server.serve().map(|_| ()));
        let job = job(number, transport, RoleName::Worker);
        let model = model::build(&job.settings, 1)?;
        let parameters = Parameters::new(model.parameters())?;
        let gradients = parameters.memory().iter();
        Ok(Self {
            exchange: parameter_server::connect(&job, &addresses, &parameters)?,
            gradients: gradients.map(|memory| vec![1.0; memory.len()]).collect(),
            parameters,
            server,
            job,
        })
    }

    /// GB/s of what has moved, while it moved.
    fn round(&mut self) -> Result<f64> {
        let mut before = (0, 0.0);
        for step in 0..=STEPS {
            let mut clock = StepClock::start();
            self.exchange.begin(&self.parameters, &mut clock)?;
            let memory: Vec<Memory> = self
                .gradients
                .iter_mut()
                .map(|gradient| Memory::of_slice(gradient))
                .collect();
            // SAFETY: this thread alone has the gradients.
            unsafe { self.exchange.exchange(&memory, &mut clock)? };
            if step == 0 {
                before = self.moved();
            }
        }
        let now = self.moved();
        Ok((now.0 - before.0) as f64 / (now.1 - before.1) / 1e9)
    }

    /// Bytes and seconds so far.
    fn moved(&self) -> (u64, f64) {
        let links = self.exchange.links();
        links.iter().fold((0, 0.0), |(bytes, seconds), link| {
            let moved = link.pulled_bytes + link.pushed_bytes;
            (
                bytes + moved,
                seconds + link.pull_seconds + link.push_seconds,
            )
        })
    }

    fn ceiling(&self) -> Result<f64> {
        let settings = &self.job.settings;
        let probe = Probe::of(&job(0, settings.transport, RoleName::Probe))?;
        let mut found = None;
        probe.measure(&mut |event| {
            if let Event::Ceiling(ceiling) = event
                && ceiling.of == CeilingOf::BothWays(settings.transport)
            {
                found = Some(ceiling.median);
            }
        })?;
        found.context("the probe has not told the ceiling of both ways")
    }

    fn end(mut self) -> Result<()> {
        self.exchange.finish(&self.parameters)?;
        self.server.join().expect("no server panics")
    }
}
