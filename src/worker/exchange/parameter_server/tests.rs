//! Servers and workers in threads, over real sockets and segments.

mod refusals;

use super::server::Server;
use super::*;
use crate::protocol::{DeviceJob, ServerReport, VERSION};
use crate::spec::settings::Settings;
use crate::terms::*;
use crate::worker::clock::StepClock;
use crate::worker::exchange::lost::PeerLost;
use crate::worker::model;
use crate::worker::optimizer::{Config, Optimizer};
use crate::worker::parameters::{Memory, Piece};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{ScopedJoinHandle, scope};
use std::time::Duration;

const STEPS: u64 = 4;

fn settings() -> Settings {
    Settings {
        layers: vec![5, 33, 7],
        optimizer: OptimizerName::Adam,
        learning_rate: 0.01,
        topology: Topology::ParameterServer,
        workers: 1,
        servers: 1,
        timeout: Duration::from_secs(20),
        transport: Transport::Unix,
        ..Settings::defaults(ModelName::Mlp)
    }
}

fn job(role: RoleName, rank: usize, settings: &Settings, token: &str) -> Job {
    Job {
        protocol: VERSION,
        role,
        rank,
        world_size: settings.workers,
        token: token.to_owned(),
        settings: settings.clone(),
        devices: vec![DeviceJob::Cpu {
            cores: vec![0; settings.server_threads],
        }],
        cache: "unused".into(),
        checkpoints: None,
    }
}

/// A token for each test, since names of sockets contain it.
fn token() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) | u64::from(std::process::id()) << 32;
    format!("{number:016x}").repeat(4)
}

/// Runs all servers of a cell, and meanwhile `work` with the jobs of its workers and the addresses.
fn with_servers<T>(
    settings: &Settings,
    work: impl FnOnce(Vec<Job>, &[String]) -> T,
) -> (T, Vec<Result<ServerReport>>) {
    let token = token();
    let bind = |rank| Server::bind(&job(RoleName::Server, rank, settings, &token)).unwrap();
    let servers: Vec<Server> = (0..settings.servers).map(bind).collect();
    let addresses: Vec<String> = servers.iter().map(|s| s.address().unwrap()).collect();
    let jobs = (0..settings.workers).map(|rank| job(RoleName::Worker, rank, settings, &token));
    scope(|scope| {
        let serve = |server: Server| scope.spawn(|| server.serve());
        let servers: Vec<_> = servers.into_iter().map(serve).collect();
        let done = work(jobs.collect(), &addresses);
        let join = |server: ScopedJoinHandle<'_, _>| server.join().unwrap();
        (done, servers.into_iter().map(join).collect())
    })
}

fn parameters(settings: &Settings) -> Parameters {
    let model = model::build(settings, settings.seed).unwrap();
    Parameters::new(model.parameters()).unwrap()
}

/// The gradient of a loss that pulls each weight to a number of the worker's own.
fn gradients(parameters: &Parameters, rank: usize) -> Vec<Vec<f32>> {
    let gradient = |memory: &Memory| {
        // SAFETY: only this thread uses the parameters.
        let weights = unsafe { memory.slice(0..memory.len()) };
        let pulled = weights.iter().enumerate();
        pulled
            .map(|(i, weight)| weight - (i as f32 * 0.3 + rank as f32).sin())
            .collect()
    };
    parameters.memory().iter().map(gradient).collect()
}

fn memory(gradients: &mut [Vec<f32>]) -> Vec<Memory> {
    gradients.iter_mut().map(|g| Memory::of_slice(g)).collect()
}

fn numbers(parameters: &Parameters) -> Vec<f32> {
    let slice = |memory: &Memory| unsafe { memory.slice(0..memory.len()) }.to_vec();
    parameters.memory().iter().flat_map(slice).collect()
}

/// Trains like a step loop: until the servers have done so many updates, or the worker its steps.
fn work(job: &Job, addresses: &[String]) -> Result<(Vec<f32>, u64)> {
    let parameters = parameters(&job.settings);
    let mut exchange = connect(job, addresses, &parameters)?;
    let mut clock = StepClock::start();
    let synchronous = job.settings.update == Update::Sync;
    for step in 0.. {
        exchange.begin(&parameters, &mut clock)?;
        let done = exchange.global_step().unwrap();
        if STEPS <= if synchronous { done } else { step } {
            break;
        }
        let mut gradients = gradients(&parameters, job.rank);
        let gradients = memory(&mut gradients);
        let last = gradients.len() - 1;
        // SAFETY: the gradients live, and only this thread has them.
        unsafe {
            exchange.offer(last, gradients[last], &mut clock)?;
            exchange.exchange(&gradients, &mut clock)?;
        }
    }
    exchange.finish(&parameters)?;
    let elements = 4 * parameters.elements() as u64;
    let pushed: u64 = exchange.links().iter().map(|link| link.pushed_bytes).sum();
    assert_eq!(pushed % elements, 0, "whole gradients");
    Ok((numbers(&parameters), exchange.global_step().unwrap()))
}

/// What all workers end with, and what the servers say.
fn train(settings: &Settings) -> (Vec<(Vec<f32>, u64)>, Vec<ServerReport>) {
    let (workers, servers) = with_servers(settings, |jobs, addresses| {
        scope(|scope| {
            let start = |job: &Job| {
                let job = job.clone();
                scope.spawn(move || work(&job, addresses).unwrap())
            };
            let threads: Vec<_> = jobs.iter().map(start).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        })
    });
    (workers, servers.into_iter().map(Result::unwrap).collect())
}

/// The same steps by the mean of all workers' gradients in one process.
fn alone(settings: &Settings) -> Vec<f32> {
    let parameters = parameters(settings);
    let whole = |(variable, memory): (usize, &Memory)| Piece {
        variable,
        elements: 0..memory.len(),
    };
    let pieces: Vec<Piece> = parameters.memory().iter().enumerate().map(whole).collect();
    let mut optimizers: Vec<Optimizer> = pieces
        .iter()
        .map(|piece| {
            Optimizer::new(
                Config::of(settings),
                &[unsafe { parameters.piece_mut(piece) }],
            )
        })
        .collect();
    for _ in 0..STEPS {
        let all: Vec<_> = (0..settings.workers)
            .map(|rank| gradients(&parameters, rank))
            .collect();
        for (optimizer, piece) in optimizers.iter_mut().zip(&pieces) {
            let gradients: Vec<&[f32]> = all.iter().map(|g| &g[piece.variable][..]).collect();
            // SAFETY: only this thread uses the parameters.
            optimizer.step_by_mean(unsafe { parameters.piece_mut(piece) }, &gradients);
        }
    }
    numbers(&parameters)
}

/// All transports and encodings.
fn carriers() -> impl Iterator<Item = (Transport, Encoding)> {
    let transports = [Transport::SharedMemory, Transport::Unix, Transport::Tcp];
    transports
        .into_iter()
        .flat_map(|transport| [Encoding::Raw, Encoding::Serialised].map(|e| (transport, e)))
}

#[test]
fn one_asynchronous_worker_does_the_mathematics_of_a_single_process() {
    for (transport, encoding) in carriers() {
        let settings = Settings {
            transport,
            encoding,
            servers: 2,
            server_threads: 2,
            consistency: Consistency::Relaxed,
            shards: Shards::Split,
            ..settings()
        };
        let (workers, servers) = train(&settings);
        assert_eq!(
            workers,
            [(alone(&settings), STEPS)],
            "{transport} {encoding}"
        );
        for server in servers {
            assert_eq!(
                (server.updates, server.gradients, server.dropped),
                (STEPS, STEPS, 0)
            );
            assert_eq!(server.staleness[0], STEPS);
            assert_eq!(server.received_bytes, STEPS * server.held_bytes);
            assert_eq!(server.sent_bytes, (STEPS + 2) * server.held_bytes);
            assert_eq!((server.alone_updates, &server.cores[..]), (0, "0"));
        }
    }
}

#[test]
fn synchronous_workers_all_have_the_parameters_of_the_mean_gradient() {
    for (transport, encoding) in carriers() {
        for shards in [Shards::RoundRobin, Shards::Greedy, Shards::Split] {
            let settings = Settings {
                transport,
                encoding,
                shards,
                update: Update::Sync,
                workers: 3,
                servers: 2,
                ..settings()
            };
            let (workers, servers) = train(&settings);
            let expected = alone(&settings);
            for worker in workers {
                assert_eq!(
                    worker,
                    (expected.clone(), STEPS),
                    "{transport} {encoding} {shards}"
                );
            }
            for server in servers {
                assert_eq!(
                    (server.updates, server.gradients, server.dropped),
                    (STEPS, 3 * STEPS, 0)
                );
            }
        }
    }
}

#[test]
fn a_round_ends_without_backup_workers_and_all_end_with_the_same() {
    for (transport, encoding) in carriers() {
        for servers in [1, 3, 5] {
            let settings = Settings {
                transport,
                encoding,
                servers,
                update: Update::Sync,
                workers: 3,
                backup_workers: 1,
                ..settings()
            };
            let (workers, servers) = train(&settings);
            for worker in &workers {
                assert_eq!(worker, &workers[0]);
                assert_eq!(worker.1, STEPS);
            }
            for server in servers {
                assert_eq!(server.updates, STEPS);
                assert_eq!(server.gradients - server.dropped, 2 * STEPS);
                assert_eq!(server.staleness[0], 2 * STEPS);
            }
        }
    }
}

#[test]
fn nothing_is_lost_among_asynchronous_workers() {
    for (transport, encoding) in carriers() {
        let settings = Settings {
            transport,
            encoding,
            workers: 3,
            ..settings()
        };
        let (_, servers) = train(&settings);
        let [server] = &servers[..] else {
            panic!("one server")
        };
        assert_eq!(
            (server.updates, server.gradients, server.dropped),
            (3 * STEPS, 3 * STEPS, 0)
        );
        assert_eq!(server.staleness.iter().sum::<u64>(), 3 * STEPS);
    }
}

#[test]
fn a_worker_that_is_lost_ends_its_server_and_the_other_workers() {
    for (transport, _) in carriers() {
        let settings = Settings {
            transport,
            update: Update::Sync,
            workers: 2,
            ..settings()
        };
        let (other, servers) = with_servers(&settings, |jobs, addresses| {
            scope(|scope| {
                let other = scope.spawn(|| work(&jobs[1], addresses));
                let parameters = parameters(&settings);
                let mut exchange = connect(&jobs[0], addresses, &parameters).unwrap();
                exchange
                    .begin(&parameters, &mut StepClock::start())
                    .unwrap();
                drop(exchange);
                other.join().unwrap()
            })
        });
        let error = servers.into_iter().next().unwrap().unwrap_err();
        let lost = error.downcast_ref::<PeerLost>().unwrap();
        assert_eq!((&lost.peer[..], lost.phase), ("worker 0", Phase::Push));
        let error = other.unwrap_err();
        let lost = error.downcast_ref::<PeerLost>().unwrap();
        assert_eq!(lost.peer, "server 0");
    }
}

#[test]
fn a_worker_that_never_calls_is_named() {
    let settings = Settings {
        workers: 2,
        timeout: Duration::from_millis(50),
        ..settings()
    };
    let ((), servers) = with_servers(&settings, |_, _| ());
    let error = servers.into_iter().next().unwrap().unwrap_err().to_string();
    assert_eq!(error, "worker 0, worker 1 did not call in time");
}
