//! Workers and servers of one cell as threads, and what they make of the parameters.

use super::batch::Part;
use candle_core::Device;
use std::fmt::Debug;
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use xrun::protocol::{DeviceJob, Job, ServerReport, VERSION};
use xrun::spec::settings::Settings;
use xrun::terms::*;
use xrun::worker::exchange::parameter_server::server::Server;
use xrun::worker::exchange::{Meeting, group};
use xrun::worker::gpu::{Gpu, Options};
use xrun::worker::layer::Tape;
use xrun::worker::model::{self, Model};
use xrun::worker::parameters::Parameters;
use xrun::worker::step_loop::{Graphs, Pace, Seen, StepLoop};

/// The GPU of each replica of all workers, by UUID; none for replicas on CPUs.
pub struct Devices(pub Option<Vec<String>>);

/// Replicas on CPUs.
pub const CPUS: Devices = Devices(None);

impl Devices {
    fn of_replica(&self, number: usize) -> DeviceJob {
        let cores = vec![0];
        match &self.0 {
            None => DeviceJob::Cpu { cores },
            Some(uuids) => DeviceJob::Cuda {
                uuid: uuids[number].clone(),
                cores,
            },
        }
    }
}

fn job(
    settings: &Settings,
    (role, rank): (RoleName, usize),
    devices: &Devices,
    token: &str,
) -> Job {
    let count = match role {
        RoleName::Worker => settings.devices_per_worker,
        _ => 1,
    };
    let devices = match role {
        RoleName::Worker => devices,
        _ => &CPUS,
    };
    let replicas = rank * count..(rank + 1) * count;
    Job {
        protocol: VERSION,
        role,
        rank,
        world_size: settings.workers,
        token: token.to_owned(),
        settings: settings.clone(),
        devices: replicas
            .map(|replica| devices.of_replica(replica))
            .collect(),
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

/// What one worker has seen, and its parameters at the end, as each of its replicas has them.
pub struct Trained {
    pub seen: Vec<Seen>,
    pub parameters: Vec<f32>,
    pub replicas: Vec<Vec<f32>>,
}

/// One worker with all its replicas, up to the point where it has to know where the others are.
struct Worker {
    job: Job,
    loops: Vec<StepLoop>,
    /// Of each replica; on CPUs the same.
    parameters: Vec<Arc<Parameters>>,
    meeting: Meeting,
}

/// What one replica trains, and where.
struct Replica {
    gpu: Option<Gpu>,
    model: Arc<dyn Model>,
    parameters: Arc<Parameters>,
}

impl Replica {
    fn on(settings: &Settings, device: &DeviceJob) -> Self {
        let open = |uuid| Gpu::open(uuid, &Options::default()).unwrap();
        let gpu = device.uuid().map(open);
        let candle = gpu.as_ref().map_or(&Device::Cpu, Gpu::device);
        let model = model::build_on(settings, settings.seed, candle).unwrap();
        let parameters = match &gpu {
            Some(gpu) => Parameters::on_gpu(gpu, model.parameters()),
            None => Parameters::new(model.parameters()),
        };
        Self {
            gpu,
            model: Arc::from(model),
            parameters: Arc::new(parameters.unwrap()),
        }
    }

    /// All replicas of a worker: on CPUs they share a model.
    fn all(settings: &Settings, devices: &[DeviceJob]) -> Vec<Self> {
        let first = Self::on(settings, &devices[0]);
        let others = devices[1..].iter().map(|device| match first.gpu {
            Some(_) => Self::on(settings, device),
            None => Self {
                gpu: None,
                model: first.model.clone(),
                parameters: first.parameters.clone(),
            },
        });
        let others: Vec<Self> = others.collect();
        std::iter::once(first).chain(others).collect()
    }
}

impl Worker {
    fn build(settings: &Settings, rank: usize, devices: &Devices, token: &str) -> Self {
        let job = job(settings, (RoleName::Worker, rank), devices, token);
        let replicas = Replica::all(settings, &job.devices);
        let parameters: Vec<_> = replicas.iter().map(|r| r.parameters.clone()).collect();
        let (size, workers) = (settings.devices_per_worker, settings.workers);
        let start_line = Arc::new(Barrier::new(size));
        let members = match &replicas[0].gpu {
            Some(_) => group::form_on_gpus(settings, &parameters).unwrap(),
            None => group::form(settings, &parameters[0], size),
        };
        let parts = replicas.into_iter().zip(members).enumerate();
        let loops = parts.map(|(number, (replica, member))| {
            // Asynchronous workers each have the whole batch: there is no step that they share.
            let shared =
                settings.topology != Topology::ParameterServer || settings.update == Update::Sync;
            let part = match shared {
                true => Part::of(settings, rank * size + number, workers * size),
                false => Part::of(settings, 0, 1),
            };
            let gpu = replica.gpu;
            let device = gpu.as_ref().map_or(&Device::Cpu, Gpu::device);
            StepLoop {
                replica: number,
                model: replica.model,
                input: Box::new(part.on(device.clone())),
                graphs: Graphs::new(settings.cuda_graph && gpu.is_some()),
                tape: gpu.map_or_else(Tape::default, Tape::on),
                exchange: member,
                start_line: start_line.clone(),
                pace: Pace::of(settings),
                places: replica.parameters.places(),
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
        let joined = meeting.join(&job, &peers, &parameters[0]).unwrap();
        let members = loops.iter_mut().map(|steps| &mut steps.exchange);
        group::join(&mut members.collect::<Vec<_>>(), joined).unwrap();
        let threads: Vec<JoinHandle<Seen>> = loops
            .into_iter()
            .map(|mut steps| {
                std::thread::spawn(move || {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
                    // Ends there too: memory of a GPU is given back by a thread that has used it.
                    pool.unwrap().install(move || steps.run().unwrap())
                })
            })
            .collect();
        let seen = threads.into_iter().map(|thread| thread.join().unwrap());
        let seen = seen.collect();
        let replicas: Vec<Vec<f32>> = parameters.iter().map(|p| flat(p)).collect();
        Trained {
            seen,
            parameters: replicas[0].clone(),
            replicas,
        }
    }
}

/// Runs all processes of a cell, as threads.
pub fn train_on(settings: &Settings, devices: &Devices) -> (Vec<Trained>, Vec<ServerReport>) {
    let token = &token();
    let server = |rank| {
        let job = job(settings, (RoleName::Server, rank), devices, token);
        Server::bind(&job).unwrap()
    };
    let servers: Vec<Server> = (0..settings.servers).map(server).collect();
    let addresses: Vec<String> = servers.iter().map(|s| s.address().unwrap()).collect();
    let servers: Vec<JoinHandle<ServerReport>> = servers
        .into_iter()
        .map(|server| std::thread::spawn(move || server.serve().unwrap()))
        .collect();
    let workers: Vec<Worker> = (0..settings.workers)
        .map(|rank| Worker::build(settings, rank, devices, token))
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
    let mut flat = Vec::new();
    let all = parameters.visit(|_, numbers| flat.extend_from_slice(numbers));
    all.unwrap();
    flat
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
    let initial = Worker::build(settings, 0, &CPUS, &token());
    let initial = flat(&initial.parameters[0]);
    let (mut trained, _) = train_on(settings, &CPUS);
    let trained = trained.remove(0).parameters;
    let moved = relative_distance(&trained, &initial);
    assert!(moved > 1e-3, "training moves the parameters: {moved}");
    trained
}

/// Every replica has the parameters of one with the whole batch, within `bound`, and all have the same
/// bits.
pub fn check_within(
    bound: f64,
    settings: &Settings,
    devices: &Devices,
    alone: &[f32],
    what: &dyn Debug,
) -> Vec<ServerReport> {
    let (trained, served) = train_on(settings, devices);
    let steps = settings.warmup_steps + settings.steps;
    for worker in &trained {
        let distance = relative_distance(&worker.parameters, alone);
        assert!(distance < bound, "{what:?}: {distance:e} from one replica");
        for replica in &worker.replicas {
            assert_eq!(*replica, trained[0].parameters, "{what:?}");
        }
        for seen in &worker.seen {
            let counted = (seen.total_steps, seen.global_steps);
            assert_eq!(counted, (steps, steps), "{what:?}");
        }
    }
    served
}
