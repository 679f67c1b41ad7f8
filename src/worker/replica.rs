//! Puts the parts of one replica together: cores, model, input, exchange.

use super::checkpoint::Checkpoints;
use super::cores::{bound_cores, pinned_pool};
use super::exchange::{Joined, group};
use super::gpu::{self, Gpu};
use super::input::{self, Input};
use super::layer::Tape;
use super::model::{self, Model};
use super::parameters::Parameters;
use super::step_loop::{Graphs, Pace, Seen, StepLoop};
use crate::protocol::{DeviceJob, GpuReport, Job, LinkReport, ReplicaReport, StepWindow, cpu_list};
use crate::terms::{Convolution, Topology};
use anyhow::{Context, Result};
use candle_core::Device;
use rayon::ThreadPool;
use std::collections::HashSet;
use std::sync::{Arc, Barrier};
use std::time::Instant;

/// A replica that is ready to train.
pub struct Built {
    place: Place,
    steps: StepLoop,
    parameters: Arc<Parameters>,
}

/// What a replica has measured, and its evidence.
pub struct Outcome {
    pub windows: Vec<StepWindow>,
    pub report: ReplicaReport,
    pub measured_from: Instant,
    pub measured_until: Instant,
    pub startup_seconds: f64,
    pub prefill_seconds: f64,
    pub first_step_seconds: f64,
    pub exchanged_bytes: u64,
    pub links: Vec<LinkReport>,
    /// Measured steps, and all of them.
    pub steps: u64,
    pub total_steps: u64,
    pub global_steps: u64,
    pub checkpoints: u64,
    pub convolutions: Vec<Convolution>,
    /// How its steps were timed, in words.
    pub timing: String,
}

/// Makes all replicas of this worker.
pub fn build(job: &Job) -> Result<Vec<Built>> {
    let count = job.devices.len();
    let places = (job.devices.iter().enumerate())
        .map(|(replica, device)| Place::of(job, replica, device))
        .collect::<Result<Vec<_>>>()?;
    let gpus: Vec<Option<Gpu>> = places.iter().map(|place| place.gpu.clone()).collect();
    let inputs = input::open(job, &gpus).context("opening the input")?;
    let groups = match job.settings.topology {
        Topology::Single | Topology::Independent => vec![1; count],
        Topology::Replicated | Topology::AllReduce | Topology::ParameterServer => vec![count],
    };
    let mut parts = places.into_iter().zip(inputs).enumerate();
    let start_line = Arc::new(Barrier::new(count));
    let mut built = Vec::with_capacity(count);
    for size in groups {
        built.extend(build_group(
            job,
            parts.by_ref().take(size).collect(),
            &start_line,
        )?);
    }
    Ok(built)
}

/// Where one replica computes.
struct Place {
    /// Of a replica on a GPU, what its host threads do.
    pool: ThreadPool,
    gpu: Option<Gpu>,
}

impl Place {
    fn of(job: &Job, replica: usize, device: &DeviceJob) -> Result<Self> {
        let (cores, uuid) = match device {
            DeviceJob::Cpu { cores } => (cores, None),
            DeviceJob::Cuda { cores, uuid } => (cores, Some(uuid)),
        };
        let options = gpu::Options {
            tf32: job.settings.tf32,
            cache: Some(job.cache.join("kernels")),
        };
        let open = |uuid: &String| Gpu::open(uuid, &options).context("opening a GPU");
        Ok(Self {
            pool: pinned_pool(replica, cores)?,
            gpu: uuid.map(open).transpose()?,
        })
    }

    /// Where its tensors are.
    fn device(&self) -> Device {
        self.gpu
            .as_ref()
            .map_or(Device::Cpu, |gpu| gpu.device().clone())
    }
}

/// Whether steps are captured in graphs. Not where replicas share a GPU and do not meet in each step: the one
/// that ends, or begins, waits for all of the GPU, and CUDA breaks what another captures on it then.
fn captures(job: &Job) -> bool {
    let mut known = HashSet::new();
    let shared = !(job.devices.iter().filter_map(DeviceJob::uuid)).all(|uuid| known.insert(uuid));
    job.settings.cuda_graph && !(shared && job.settings.topology == Topology::Independent)
}

type Part = (usize, (Place, Box<dyn Input>));

/// What a replica trains.
type Trained = (Arc<dyn Model>, Arc<Parameters>);

/// Replicas that train together.
fn build_group(job: &Job, parts: Vec<Part>, start_line: &Arc<Barrier>) -> Result<Vec<Built>> {
    let places: Vec<&Place> = parts.iter().map(|(_, (place, _))| place).collect();
    let trained = models(job, &places).context("building the model")?;
    let members = members(job, &trained).context("joining the replicas of this worker")?;
    let build = |((part, (model, parameters)), member): ((Part, Trained), group::Member)| {
        let (replica, (place, input)) = part;
        Built {
            steps: StepLoop {
                replica,
                model,
                input,
                tape: place.gpu.clone().map_or_else(Tape::default, Tape::on),
                graphs: Graphs::new(captures(job) && place.gpu.is_some()),
                exchange: member,
                start_line: start_line.clone(),
                pace: Pace::of(&job.settings),
                places: parameters.places(),
                checkpoints: None,
            },
            parameters,
            place,
        }
    };
    let parts = parts.into_iter().zip(trained).zip(members);
    let mut built: Vec<Built> = parts.map(build).collect();
    built[0].steps.checkpoints = checkpoints(job, &built[0])?;
    Ok(built)
}

/// One model for all replicas on CPUs, one for each on a GPU, with the same values. They are made on the
/// cores of the first replica.
fn models(job: &Job, places: &[&Place]) -> Result<Vec<Trained>> {
    let first = places.first().context("a group has at least one replica")?;
    let model = |place: &Place| -> Result<Trained> {
        let build = || model::build_on(&job.settings, job.settings.seed, &place.device());
        let model: Arc<dyn Model> = Arc::from(first.pool.install(build)?);
        let parameters = match &place.gpu {
            Some(gpu) => Parameters::on_gpu(gpu, model.parameters())?,
            None => Parameters::new(model.parameters())?,
        };
        Ok((model, Arc::new(parameters)))
    };
    match first.gpu {
        Some(_) => places.iter().map(|place| model(place)).collect(),
        None => Ok(vec![model(first)?; places.len()]),
    }
}

fn members(job: &Job, trained: &[Trained]) -> Result<Vec<group::Member>> {
    let (settings, first) = (&job.settings, &trained[0].1);
    if first.gpu().is_none() {
        return Ok(group::form(settings, first, trained.len()));
    }
    let parameters = trained.iter().map(|(_, parameters)| parameters.clone());
    group::form_on_gpus(settings, &parameters.collect::<Vec<_>>())
}

/// Those of the first replica of the first worker, if the settings ask for any.
fn checkpoints(job: &Job, replica: &Built) -> Result<Option<Checkpoints>> {
    let (Some(every), Some(folder)) = (job.settings.checkpoint_every, &job.checkpoints) else {
        return Ok(None);
    };
    if job.rank > 0 || replica.number() > 0 {
        return Ok(None);
    }
    Checkpoints::new(replica.parameters.clone(), folder.clone(), every).map(Some)
}

/// Lets the replicas of this worker exchange with other processes, before any of them runs.
pub fn join(replicas: &mut [Built], joined: Joined) -> Result<()> {
    let members = replicas.iter_mut().map(|built| &mut built.steps.exchange);
    group::join(&mut members.collect::<Vec<_>>(), joined)
}

impl Built {
    /// The replica's number within its worker.
    pub fn number(&self) -> usize {
        self.steps.replica
    }

    /// The variables that it trains.
    pub fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// Trains on the replica's own cores. `started` is when the harness said so.
    pub fn run(self, started: Instant) -> Result<Outcome> {
        let Self {
            place: Place { pool, gpu },
            mut steps,
            parameters,
        } = self;
        let cores = bound_cores(&pool)?;
        pool.install(move || {
            let prefill_seconds = steps
                .input
                .prefill()
                .context("filling the input pipeline")?
                .0;
            let before_first_step = started.elapsed().as_secs_f64();
            let seen = steps.run()?;
            let parameter_digest = steps
                .has_parameters()
                .then(|| parameters.digest())
                .transpose()?;
            let written = steps.checkpoints.take().map(Checkpoints::finish);
            let checkpoints = written.transpose()?.unwrap_or_default();
            let (measured_from, measured_until) =
                seen.measured.context("a loop that ends has measured")?;
            Ok(Outcome {
                startup_seconds: before_first_step - prefill_seconds,
                prefill_seconds,
                first_step_seconds: seen.first_step_seconds,
                exchanged_bytes: seen.exchanged_bytes,
                links: seen.links.clone(),
                steps: seen.steps,
                total_steps: seen.total_steps,
                global_steps: seen.global_steps,
                checkpoints,
                convolutions: steps.model.convolutions()?,
                timing: seen.timing.clone(),
                measured_from,
                measured_until,
                report: ReplicaReport {
                    gpu: gpu.map(|gpu| evidence_of(&gpu, &seen)).transpose()?,
                    ..evidence(steps.replica, &cores, &seen, parameter_digest)
                },
                windows: seen.windows,
            })
        })
    }
}

fn evidence(
    replica: usize,
    cores: &[usize],
    seen: &Seen,
    parameter_digest: Option<String>,
) -> ReplicaReport {
    ReplicaReport {
        replica,
        examples: seen.examples,
        cores: cpu_list(cores),
        first_loss: seen.first_loss,
        last_loss: seen.last_loss,
        input_checksum: seen.label_sum,
        parameter_digest,
        gpu: None,
    }
}

fn evidence_of(gpu: &Gpu, seen: &Seen) -> Result<GpuReport> {
    Ok(GpuReport {
        uuid: gpu.uuid().to_owned(),
        name: gpu.name().to_owned(),
        launches: seen.queued.launches,
        graph_launches: seen.queued.graph_launches,
        host_seconds: seen.queued.host_seconds,
        memory_bytes: gpu.memory_bytes()?,
        tf32: gpu.tf32(),
    })
}
