//! Exchange between processes does not change the mathematics: workers that share a global batch end
//! with the parameters of one replica that has all of it. Workers and servers are threads here, with
//! the sockets and the shared memory of processes.

use candle_core::{Device, Result, Tensor};
use std::fmt::Debug;
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use xrun::protocol::{DeviceJob, Job, ServerReport, VERSION};
use xrun::spec::settings::Settings;
use xrun::terms::*;
use xrun::worker::clock::StepClock;
use xrun::worker::exchange::parameter_server::server::Server;
use xrun::worker::exchange::{Meeting, group};
use xrun::worker::input::{Batch, Input};
use xrun::worker::layer::Tape;
use xrun::worker::model::{self, Model};
use xrun::worker::parameters::{Parameters, values};
use xrun::worker::step_loop::{Pace, Seen, StepLoop};

/// Divides by every number of replicas here.
const GLOBAL_BATCH: usize = 60;
const WIDTHS: [usize; 4] = [7, 33, 20, 5];
const STEPS: u64 = 10;

/// The same part of one global batch in every step, others in other steps.
struct Part {
    /// Of the input and of the target of one example.
    shapes: [Vec<usize>; 2],
    replica: usize,
    replicas: usize,
    step: u64,
}

/// A number in [−1, 1) for each (step, example, element).
fn uniform(step: u64, example: usize, element: usize) -> f32 {
    let mut x =
        step.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ ((example as u64) << 32 | element as u64);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

impl Input for Part {
    fn next(&mut self, _: &mut StepClock) -> Result<Batch> {
        let count = GLOBAL_BATCH / self.replicas;
        let numbers = |shape: &[usize]| {
            let width = shape.iter().product();
            let examples = self.replica * count..(self.replica + 1) * count;
            let numbers = examples.flat_map(|example| (0..width).map(move |i| (example, i)));
            let numbers = numbers.map(|(example, i)| uniform(self.step, example, i));
            let numbers = numbers.collect::<Vec<_>>();
            Tensor::from_vec(numbers, [&[count], shape].concat(), &Device::Cpu)
        };
        let [inputs, targets] = &self.shapes;
        // The size of an input, so that there is something to learn.
        let (inputs, targets) = (numbers(inputs)?, numbers(targets)?.abs()?);
        self.step += 1;
        Ok(Batch {
            examples: count,
            inputs,
            targets,
            label_sum: 0,
        })
    }
}

fn settings(optimizer: OptimizerName) -> Settings {
    Settings {
        layers: WIDTHS.to_vec(),
        optimizer,
        learning_rate: match optimizer {
            OptimizerName::Sgd => 0.5,
            OptimizerName::Adam => 1e-2,
        },
        warmup_steps: 2,
        steps: STEPS - 2,
        ..Settings::defaults(ModelName::Mlp)
    }
}

/// A small network whose calls are no chain.
fn sequences() -> Settings {
    Settings {
        channels: vec![2, 3],
        image_size: 8,
        frames: 3,
        predicted_frames: 2,
        optimizer: OptimizerName::Sgd,
        learning_rate: 0.1,
        warmup_steps: 2,
        steps: STEPS - 2,
        ..Settings::defaults(ModelName::SatSeq2seq)
    }
}

fn shapes(settings: &Settings) -> [Vec<usize>; 2] {
    let side = settings.image_size;
    match settings.model {
        ModelName::SatSeq2seq => {
            [settings.frames, settings.predicted_frames].map(|frames| vec![side, side, frames])
        }
        _ => [WIDTHS[0], WIDTHS[3]].map(|width| vec![width]),
    }
}

fn job(settings: &Settings, role: RoleName, rank: usize, token: &str) -> Job {
    let device = DeviceJob::Cpu { cores: vec![0] };
    Job {
        protocol: VERSION,
        role,
        rank,
        world_size: settings.workers,
        token: token.to_owned(),
        settings: settings.clone(),
        devices: match role {
            RoleName::Worker => vec![device; settings.devices_per_worker],
            _ => vec![device],
        },
        cache: std::env::temp_dir(),
        checkpoints: None,
    }
}

/// A fresh token, since servers of tests that run at the same time must not meet.
fn token() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{count:08x}{:08x}{:048x}", std::process::id(), 0)
}

/// What one worker has seen, and its parameters at the end.
struct Trained {
    seen: Vec<Seen>,
    parameters: Vec<f32>,
}

/// One worker with all its replicas, up to the point where it has to know where the others are.
struct Worker {
    job: Job,
    loops: Vec<StepLoop>,
    parameters: Arc<Parameters>,
    meeting: Meeting,
}

impl Worker {
    fn build(settings: &Settings, rank: usize, token: &str) -> Self {
        let job = job(settings, RoleName::Worker, rank, token);
        let model: Arc<dyn Model> = Arc::from(model::build(settings, settings.seed).unwrap());
        let parameters = Arc::new(Parameters::new(model.parameters()).unwrap());
        let (size, workers) = (settings.devices_per_worker, settings.workers);
        let start_line = Arc::new(Barrier::new(size));
        let members = group::form(settings, &parameters, size);
        let loops = members.into_iter().enumerate().map(|(replica, member)| {
            // Asynchronous workers each have the whole batch: there is no step that they share.
            let shared =
                settings.topology != Topology::ParameterServer || settings.update == Update::Sync;
            StepLoop {
                replica,
                model: model.clone(),
                input: Box::new(Part {
                    shapes: shapes(settings),
                    replica: if shared { rank * size + replica } else { 0 },
                    replicas: if shared { workers * size } else { 1 },
                    step: 0,
                }),
                exchange: member,
                tape: Tape::default(),
                start_line: start_line.clone(),
                pace: Pace::of(settings),
                places: parameters.places(),
                checkpoints: None,
            }
        });
        Self {
            loops: loops.collect(),
            parameters,
            meeting: Meeting::bind(&job).unwrap(),
            job,
        }
    }

    fn run(self, peers: Vec<String>) -> Trained {
        let Self {
            job,
            mut loops,
            parameters,
            meeting,
        } = self;
        if let Some(exchange) = meeting.join(&job, &peers, &parameters).unwrap() {
            let members = loops.iter_mut().map(|steps| &mut steps.exchange);
            group::join(&mut members.collect::<Vec<_>>(), exchange);
        }
        let threads: Vec<JoinHandle<Seen>> = loops
            .into_iter()
            .map(|mut steps| {
                std::thread::spawn(move || {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
                    pool.unwrap().install(|| steps.run().unwrap())
                })
            })
            .collect();
        let seen = threads.into_iter().map(|thread| thread.join().unwrap());
        let seen = seen.collect();
        let flat = parameters.variables().iter();
        Trained {
            seen,
            parameters: flat
                .flat_map(|(_, variable)| values(variable).unwrap().to_vec())
                .collect(),
        }
    }
}

/// Runs all processes of a cell, as threads.
fn train(settings: &Settings) -> (Vec<Trained>, Vec<ServerReport>) {
    let token = &token();
    let servers: Vec<Server> = (0..settings.servers)
        .map(|rank| Server::bind(&job(settings, RoleName::Server, rank, token)).unwrap())
        .collect();
    let addresses: Vec<String> = servers.iter().map(|s| s.address().unwrap()).collect();
    let servers: Vec<JoinHandle<ServerReport>> = servers
        .into_iter()
        .map(|server| std::thread::spawn(move || server.serve().unwrap()))
        .collect();
    let workers: Vec<Worker> = (0..settings.workers)
        .map(|rank| Worker::build(settings, rank, token))
        .collect();
    let own = workers.iter().filter_map(|w| w.meeting.address().unwrap());
    let own: Vec<String> = own.collect();
    let peers = if servers.is_empty() { own } else { addresses };
    let workers: Vec<JoinHandle<Trained>> = workers
        .into_iter()
        .map(|worker| {
            let peers = peers.clone();
            std::thread::spawn(move || worker.run(peers))
        })
        .collect();
    let trained = workers.into_iter().map(|worker| worker.join().unwrap());
    let trained = trained.collect();
    let served = servers.into_iter().map(|server| server.join().unwrap());
    (trained, served.collect())
}

/// ‖a − b‖ / ‖b‖ over all parameters.
fn relative_distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(a - b))).sum();
    let norm: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    (difference / norm).sqrt()
}

/// What one replica makes of the whole batch, which must have moved.
fn alone(optimizer: OptimizerName) -> Vec<f32> {
    alone_with(&settings(optimizer))
}

fn alone_with(settings: &Settings) -> Vec<f32> {
    let untrained = Worker::build(settings, 0, &token()).parameters;
    let initial: Vec<f32> = untrained
        .variables()
        .iter()
        .flat_map(|(_, variable)| values(variable).unwrap().to_vec())
        .collect();
    let (mut trained, _) = train(settings);
    let trained = trained.remove(0).parameters;
    let moved = relative_distance(&trained, &initial);
    assert!(moved > 1e-2, "training moves the parameters: {moved}");
    trained
}

const OPTIMIZERS: [OptimizerName; 2] = [OptimizerName::Sgd, OptimizerName::Adam];
const TRANSPORTS: [Transport; 3] = [Transport::SharedMemory, Transport::Unix, Transport::Tcp];
const RANKS: [usize; 4] = [1, 2, 3, 5];

/// Every worker has the parameters of one replica with the whole batch, and all have the same bits.
fn check(settings: &Settings, alone: &[f32], what: &dyn Debug) -> Vec<ServerReport> {
    let (trained, served) = train(settings);
    for worker in &trained {
        let distance = relative_distance(&worker.parameters, alone);
        assert!(distance < 1e-5, "{what:?}: {distance:e} from one replica");
        assert_eq!(worker.parameters, trained[0].parameters, "{what:?}");
        for seen in &worker.seen {
            assert_eq!(
                (seen.total_steps, seen.global_steps),
                (STEPS, STEPS),
                "{what:?}"
            );
        }
    }
    served
}

#[test]
fn synchronous_servers_train_as_one_replica_does() {
    for optimizer in OPTIMIZERS {
        let alone = alone(optimizer);
        for (workers, transport) in RANKS.iter().flat_map(|r| TRANSPORTS.map(|t| (*r, t))) {
            for shards in [Shards::RoundRobin, Shards::Greedy, Shards::Split] {
                for encoding in [Encoding::Raw, Encoding::Serialised] {
                    let settings = Settings {
                        topology: Topology::ParameterServer,
                        update: Update::Sync,
                        workers,
                        servers: 1 + workers % 2,
                        transport,
                        shards,
                        encoding,
                        ..settings(optimizer)
                    };
                    let what = (optimizer, workers, transport, shards, encoding);
                    let served = check(&settings, &alone, &what);
                    for server in served {
                        assert_eq!(server.updates, STEPS, "{what:?}");
                        assert_eq!(server.gradients, STEPS * workers as u64, "{what:?}");
                        assert_eq!(server.dropped, 0, "{what:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn all_reduce_trains_as_one_replica_does() {
    for optimizer in OPTIMIZERS {
        let alone = alone(optimizer);
        for (workers, transport) in RANKS.iter().flat_map(|r| TRANSPORTS.map(|t| (*r, t))) {
            for (overlap, devices_per_worker) in [(false, 1), (true, 1), (true, 2)] {
                let settings = Settings {
                    topology: Topology::AllReduce,
                    workers,
                    transport,
                    overlap,
                    devices_per_worker,
                    ..settings(optimizer)
                };
                let what = (optimizer, workers, transport, overlap, devices_per_worker);
                check(&settings, &alone, &what);
            }
        }
    }
}

#[test]
fn a_network_that_is_no_chain_trains_as_one_replica_does() {
    let alone = alone_with(&sequences());
    let cases = [
        (Topology::Replicated, 1, 2, 0, true),
        (Topology::AllReduce, 2, 1, 0, false),
        (Topology::AllReduce, 2, 1, 0, true),
        (Topology::AllReduce, 3, 2, 0, true),
        (Topology::ParameterServer, 2, 1, 2, true),
    ];
    for (topology, workers, devices_per_worker, servers, overlap) in cases {
        let settings = Settings {
            topology,
            workers,
            devices_per_worker,
            servers,
            overlap,
            update: Update::Sync,
            ..sequences()
        };
        let what = (topology, workers, devices_per_worker, overlap);
        check(&settings, &alone, &what);
    }
}

#[test]
fn workers_of_several_replicas_share_servers() {
    for optimizer in OPTIMIZERS {
        let settings = Settings {
            topology: Topology::ParameterServer,
            update: Update::Sync,
            workers: 2,
            servers: 1,
            devices_per_worker: 2,
            ..settings(optimizer)
        };
        check(&settings, &alone(optimizer), &optimizer);
    }
}

#[test]
fn one_asynchronous_worker_trains_as_one_replica_does() {
    for optimizer in OPTIMIZERS {
        let alone = alone(optimizer);
        for (transport, consistency) in TRANSPORTS
            .iter()
            .flat_map(|t| [Consistency::Strict, Consistency::Relaxed].map(|c| (*t, c)))
        {
            let settings = Settings {
                topology: Topology::ParameterServer,
                servers: 2,
                shards: Shards::Split,
                transport,
                consistency,
                ..settings(optimizer)
            };
            let (trained, served) = train(&settings);
            let distance = relative_distance(&trained[0].parameters, &alone);
            assert!(
                distance < 1e-6,
                "{transport}, {consistency}: {distance:e} from one replica"
            );
            for server in served {
                assert_eq!((server.gradients, server.updates), (STEPS, STEPS));
                assert_eq!(server.staleness.iter().sum::<u64>(), STEPS);
                assert_eq!(server.staleness[0], STEPS, "nobody else updates");
            }
        }
    }
}

#[test]
fn asynchronous_workers_learn_and_lose_nothing() {
    for transport in TRANSPORTS {
        let settings = Settings {
            topology: Topology::ParameterServer,
            workers: 4,
            servers: 1,
            transport,
            learning_rate: 2e-3,
            warmup_steps: 5,
            steps: 75,
            ..settings(OptimizerName::Adam)
        };
        let (trained, served) = train(&settings);
        let losses = trained.iter().map(|worker| {
            let seen = &worker.seen[0];
            assert_eq!(seen.total_steps, 80);
            (seen.first_loss.unwrap(), seen.last_loss.unwrap())
        });
        let (first, last) = losses.fold((0.0, 0.0), |sums: (f64, f64), loss| {
            (sums.0 + loss.0, sums.1 + loss.1)
        });
        assert!(
            last < 0.6 * first,
            "{transport}: loss {first} became {last}"
        );
        let server = &served[0];
        assert_eq!(
            (server.gradients, server.updates, server.dropped),
            (320, 320, 0)
        );
        assert_eq!(server.staleness.iter().sum::<u64>(), 320);
    }
}

#[test]
fn backup_workers_are_not_waited_for() {
    let settings = Settings {
        topology: Topology::ParameterServer,
        update: Update::Sync,
        workers: 3,
        backup_workers: 1,
        servers: 2,
        warmup_steps: 5,
        steps: 45,
        ..settings(OptimizerName::Sgd)
    };
    let (trained, served) = train(&settings);
    for server in &served {
        assert_eq!(server.updates, 50);
        assert_eq!(server.gradients - server.dropped, 2 * 50);
    }
    for worker in &trained {
        assert_eq!(worker.seen[0].global_steps, 50);
        assert_eq!(worker.parameters, trained[0].parameters);
    }
}

#[test]
fn a_job_stops_at_its_global_step() {
    let settings = Settings {
        topology: Topology::ParameterServer,
        workers: 3,
        servers: 1,
        warmup_steps: 1,
        stop_at_global_step: Some(40),
        ..settings(OptimizerName::Sgd)
    };
    let (trained, served) = train(&settings);
    let own: u64 = trained
        .iter()
        .map(|worker| worker.seen[0].total_steps)
        .sum();
    assert_eq!(own, served[0].updates);
    // Steps that were under way when the last one was counted are done all the same.
    assert!((40..43).contains(&own), "{own} steps");
}
