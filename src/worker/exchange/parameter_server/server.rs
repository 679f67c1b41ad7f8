//! A process that holds a part of the parameters and updates them. In: gradients of workers. Out:
//! parameters, and a report. Each worker has a connection with a thread of its own, which updates
//! with the server's cores; what connections have in common is in `store` and `progress`.

mod connection;
mod progress;
mod store;

use super::super::transport::{self, Listener, Peer, Segment, Socket, Token};
use super::numbers::Numbers;
use super::port::Port;
use super::units::{self, Unit};
use crate::protocol::{DeviceJob, Event, Job, STALENESS_PLACES, ServerReport, cpu_list};
use crate::terms::{Encoding, RoleName, Transport, Update};
use crate::worker::cores::{bound_cores, join_pinned_pool, pinned_pool};
use crate::worker::optimizer::Config;
use crate::worker::parameters::Parameters;
use crate::worker::{Process, events, model, resources};
use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use connection::{Connection, Tally};
use progress::Progress;
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{Shutdown, shutdown};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::Scope;
use std::time::{Duration, Instant};
use store::Store;

/// How often a server that waits for workers looks whether one of them has failed meanwhile.
const LOOK_UP: Duration = Duration::from_millis(100);

/// The whole life of a server process.
pub fn main(process: &mut Process<'_>) -> Result<()> {
    let server = Server::bind(process.job)?;
    process.ready(Some(server.address()?))?;
    events::emit(&Event::Served(server.serve()?));
    Ok(())
}

/// A server that workers can call.
pub struct Server {
    job: Job,
    token: Token,
    listener: Listener,
    units: Arc<[Unit]>,
    store: Store,
}

impl Server {
    /// Builds the model, keeps its own part of it, and listens.
    ///
    /// # Errors
    /// Where the model cannot be built, or nobody could call.
    pub fn bind(job: &Job) -> Result<Self> {
        let settings = &job.settings;
        let token = Token::parse(&job.token)?;
        let me = Peer {
            role: RoleName::Server,
            rank: job.rank,
        };
        let pool = pinned_pool(0, cores(job)?)?;
        let model = pool
            .install(|| model::build(settings, settings.seed))
            .context("building the model")?;
        let mut units = units::of_servers(settings, model.parameters());
        ensure!(job.rank < units.len(), "there is no {me} in this cell");
        let units = units.swap_remove(job.rank);
        let parameters = Parameters::new(model.parameters())?;
        let needed = settings.workers.saturating_sub(settings.backup_workers);
        ensure!(needed > 0, "all workers of this cell are backup workers");
        let needed = (settings.update == Update::Sync).then_some(needed);
        let progress = Progress::new(units.len(), needed, settings.timeout);
        let weights = memory(job, &units)?;
        let config = Config::of(settings);
        let store = pool.install(|| Store::new(config, &units, &parameters, weights, progress));
        Ok(Self {
            job: job.clone(),
            listener: Listener::bind(transport::resolve(settings), &token, me)?,
            token,
            units,
            store,
        })
    }

    /// What workers call.
    pub fn address(&self) -> Result<String> {
        self.listener.address()
    }

    /// Serves all workers until each has said goodbye.
    ///
    /// # Errors
    /// The first failure of a connection, which ends the others too.
    pub fn serve(self) -> Result<ServerReport> {
        let floor = Floor::default();
        std::thread::scope(|scope| {
            if let Err(error) = self.take_calls(scope, &floor) {
                self.fail(&floor, error);
            }
        });
        let floor = floor.0.into_inner().expect("no thread panics with it");
        match floor.failure {
            Some(error) => Err(error),
            None => Ok(self.report(floor.tallies)),
        }
    }

    fn take_calls<'s>(&'s self, scope: &'s Scope<'s, '_>, floor: &'s Floor) -> Result<()> {
        let settings = &self.job.settings;
        let silence = transport::silence(settings);
        let deadline = Instant::now() + settings.timeout;
        let mut called = vec![false; settings.workers];
        while called.contains(&false) && floor.lock().failure.is_none() {
            if !self
                .listener
                .is_called(deadline.min(Instant::now() + LOOK_UP))?
            {
                ensure!(Instant::now() < deadline, missing(&called));
                continue;
            }
            let socket = self.listener.accept(&self.token, deadline, silence)?;
            let peer = socket.peer();
            let free = called.get_mut(peer.rank).filter(|called| !**called);
            match free.filter(|_| peer.role == RoleName::Worker) {
                Some(free) => *free = true,
                None => bail!("{peer} called, which is no worker that is waited for"),
            }
            floor.lock().admit(&socket)?;
            std::thread::Builder::new()
                .name(format!("{peer}"))
                .spawn_scoped(scope, move || {
                    match catch_unwind(AssertUnwindSafe(|| self.attend(socket))) {
                        Ok(Ok(tally)) => floor.lock().tallies.push(tally),
                        Ok(Err(error)) => self.fail(floor, error),
                        Err(_) => self.fail(floor, anyhow!("serving {peer} panicked")),
                    }
                })
                .context("starting the thread of a connection")?;
        }
        Ok(())
    }

    /// Serves one worker, on the server's cores.
    fn attend(&self, socket: Socket) -> Result<Tally> {
        let pool = join_pinned_pool(&socket.peer().to_string(), cores(&self.job)?)?;
        let worker = socket.peer().rank;
        let mut port = Port::new(socket, self.units.clone(), self.job.settings.encoding);
        if transport::resolve(&self.job.settings) == Transport::SharedMemory {
            let segment = match self.store.weights().segment() {
                Some(weights) => weights.clone(),
                None => Arc::new(Segment::create(units::room(&self.units).1)?),
            };
            port.share(segment)?;
        }
        let mut tally = Connection::new(&self.store, port, worker).serve()?;
        tally.cores = bound_cores(&pool)?;
        Ok(tally)
    }

    /// Notes the first failure, and ends the waits of all connections.
    fn fail(&self, floor: &Floor, error: Error) {
        let mut floor = floor.lock();
        floor.failure.get_or_insert(error);
        self.store.progress.close();
        for connection in &floor.open {
            // One that has ended already needs no end.
            let _ = shutdown(connection, Shutdown::Both);
        }
    }

    fn report(&self, tallies: Vec<Tally>) -> ServerReport {
        let (updates, alone_updates) = self.store.progress.totals();
        let cores: Vec<usize> = tallies
            .iter()
            .flat_map(|tally| tally.cores.clone())
            .collect();
        let mut report = ServerReport {
            cores: cpu_list(&cores),
            held_bytes: self.units.iter().map(Unit::bytes).sum(),
            updates,
            alone_updates,
            staleness: vec![0; STALENESS_PLACES],
            peak_memory_bytes: resources::peak_memory_bytes(),
            cpu_seconds: resources::cpu_seconds(),
            ..ServerReport::default()
        };
        for tally in tallies {
            tally.add_to(&mut report);
        }
        report
    }
}

/// What the connections of a server share besides its parameters.
#[derive(Default)]
struct Floor(Mutex<Connections>);

#[derive(Default)]
struct Connections {
    open: Vec<OwnedFd>,
    failure: Option<Error>,
    tallies: Vec<Tally>,
}

impl Connections {
    /// Notes a connection that has to end when another one fails.
    fn admit(&mut self, socket: &Socket) -> Result<()> {
        ensure!(self.failure.is_none(), "another connection has failed");
        self.open.push(socket.as_fd().try_clone_to_owned()?);
        Ok(())
    }
}

impl Floor {
    fn lock(&self) -> MutexGuard<'_, Connections> {
        let connections = self.0.lock();
        connections.expect("no thread panics while it holds this lock")
    }
}

/// Memory for the weights: workers read it where it lies, if they can.
fn memory(job: &Job, units: &[Unit]) -> Result<Numbers> {
    let settings = &job.settings;
    let shared = transport::resolve(settings) == Transport::SharedMemory;
    let room = units::room(units).0;
    Ok(match shared && settings.encoding == Encoding::Raw {
        true => Numbers::shared(Arc::new(Segment::create(room)?)),
        false => Numbers::own(room),
    })
}

fn cores(job: &Job) -> Result<&[usize]> {
    match job.devices.first() {
        Some(DeviceJob::Cpu { cores }) => Ok(cores),
        _ => bail!("a server needs the cores of a CPU"),
    }
}

fn missing(called: &[bool]) -> String {
    let missing = (0..called.len()).filter(|rank| !called[*rank]);
    let missing: Vec<String> = missing.map(|rank| format!("worker {rank}")).collect();
    format!("{} did not call in time", missing.join(", "))
}
