//! Workers and servers of one cell as threads, and what they make of the parameters.

use crate::batch::Part;
use std::fmt::Debug;
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use xrun::protocol::{DeviceJob, Job, ServerReport, VERSION};
use xrun::spec::settings::Settings;
use xrun::terms::*;
use xrun::worker::exchange::parameter_server::server::Server;
use xrun::worker::exchange::{Meeting, group};
use xrun::worker::layer::Tape;
use xrun::worker::model::{self, Model};
use xrun::worker::parameters::{Parameters, values};
use xrun::worker::step_loop::{Graphs, Pace, Seen, StepLoop};

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
pub struct Trained {
    pub seen: Vec<Seen>,
    pub parameters: Vec<f32>,
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
                input: Box::new(match shared {
                    true => Part::of(settings, rank * size + replica, workers * size),
                    false => Part::of(settings, 0, 1),
                }),
                exchange: member,
                tape: Tape::default(),
                graphs: Graphs::default(),
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
        Trained {
            seen,
            parameters: flat(&parameters),
        }
    }
}

/// Runs all processes of a cell, as threads.
pub fn train(settings: &Settings) -> (Vec<Trained>, Vec<ServerReport>) {
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

fn flat(parameters: &Parameters) -> Vec<f32> {
    let variables = parameters.variables().iter();
    variables
        .flat_map(|(_, variable)| values(variable).unwrap().to_vec())
        .collect()
}

/// ‖a − b‖ / ‖b‖ over all parameters.
pub fn relative_distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(a - b))).sum();
    let norm: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    (difference / norm).sqrt()
}

/// What one replica makes of the whole batch, which must have moved.
pub fn alone(settings: &Settings) -> Vec<f32> {
    let initial = flat(&Worker::build(settings, 0, &token()).parameters);
    let (mut trained, _) = train(settings);
    let trained = trained.remove(0).parameters;
    let moved = relative_distance(&trained, &initial);
    assert!(moved > 1e-3, "training moves the parameters: {moved}");
    trained
}

/// Every worker has the parameters of one replica with the whole batch, and all have the same bits.
pub fn check(settings: &Settings, alone: &[f32], what: &dyn Debug) -> Vec<ServerReport> {
    check_within(1e-5, settings, alone, what)
}

/// The same with another bound on the distance from one replica.
pub fn check_within(
    bound: f64,
    settings: &Settings,
    alone: &[f32],
    what: &dyn Debug,
) -> Vec<ServerReport> {
    let (trained, served) = train(settings);
    let steps = settings.warmup_steps + settings.steps;
    for worker in &trained {
        let distance = relative_distance(&worker.parameters, alone);
        assert!(distance < bound, "{what:?}: {distance:e} from one replica");
        assert_eq!(worker.parameters, trained[0].parameters, "{what:?}");
        for seen in &worker.seen {
            let counted = (seen.total_steps, seen.global_steps);
            assert_eq!(counted, (steps, steps), "{what:?}");
        }
    }
    served
}
