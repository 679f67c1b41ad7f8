//! The command line of the benchmark `step`. In: arguments. Out: settings of one cell, and where it runs.

use anyhow::{Context, Result, bail};
use std::str::FromStr;
use xrun::machine::Machine;
use xrun::spec::settings::Settings;
use xrun::terms::{Convolution, DeviceKind, InputSource, ModelName, Topology};

/// What is measured, and where.
pub struct Options {
    pub settings: Settings,
    /// Of all replicas.
    pub cores: Vec<usize>,
    /// UUID of the GPU that the one replica lives on; none for the CPU.
    pub gpu: Option<String>,
    pub check: bool,
}

/// What the arguments say.
struct Words {
    model: ModelName,
    convolution: Convolution,
    /// Of all replicas.
    batch: usize,
    steps: u64,
    warmup_steps: u64,
    replicas: usize,
    cores: Vec<usize>,
    gpu: Option<String>,
    tf32: bool,
    cuda_graph: bool,
    check: bool,
}

impl Options {
    /// # Errors
    /// An argument that is unknown, or that does not go with another.
    pub fn read(args: impl Iterator<Item = String>) -> Result<Self> {
        let words = Words::read(args)?;
        words.must_agree()?;
        let gpu = words.gpu.as_deref().map(uuid).transpose()?;
        Ok(Self {
            settings: words.settings(),
            cores: words.cores,
            gpu,
            check: words.check,
        })
    }
}

impl Words {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut words = Self {
            model: ModelName::Cifar10,
            convolution: Convolution::Auto,
            batch: 128,
            steps: 40,
            warmup_steps: 5,
            replicas: 1,
            cores: vec![0],
            gpu: None,
            tf32: false,
            cuda_graph: true,
            check: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--bench" => {} // cargo's own
                "--check" => words.check = true,
                "--tf32" => words.tf32 = true,
                "--no-graph" => words.cuda_graph = false,
                "--model" => words.model = parsed(&value()?)?,
                "--batch" => words.batch = parsed(&value()?)?,
                "--steps" => words.steps = parsed(&value()?)?,
                "--warmup" => words.warmup_steps = parsed(&value()?)?,
                "--replicas" => words.replicas = parsed(&value()?)?,
                "--convolution" => words.convolution = parsed(&value()?)?,
                "--cores" => {
                    words.cores = value()?.split(',').map(parsed).collect::<Result<_>>()?
                }
                "--gpu" => words.gpu = Some(value()?),
                _ => bail!("unknown argument {arg}: see the head of benches/step.rs"),
            }
        }
        Ok(words)
    }

    fn must_agree(&self) -> Result<()> {
        let replicas = self.replicas;
        if replicas == 0
            || !self.cores.len().is_multiple_of(replicas)
            || !self.batch.is_multiple_of(replicas)
        {
            bail!(
                "cores and batch are divided among the replicas: {replicas} does not divide them"
            );
        }
        if self.gpu.is_some() && replicas > 1 {
            bail!("--gpu is for one replica: xrun itself runs several on GPUs");
        }
        if self.gpu.is_none() && (self.tf32 || !self.cuda_graph) {
            bail!("--tf32 and --no-graph are for --gpu");
        }
        Ok(())
    }

    fn settings(&self) -> Settings {
        let defaults = Settings::defaults(self.model);
        Settings {
            local_batch: self.batch / self.replicas,
            convolution: self.convolution,
            input_source: match self.model {
                ModelName::Cifar10 => InputSource::Resident,
                _ => defaults.input_source,
            },
            device_kind: match self.gpu {
                None => DeviceKind::Cpu,
                Some(_) => DeviceKind::Cuda,
            },
            tf32: self.tf32,
            cuda_graph: self.cuda_graph,
            devices_per_worker: self.replicas,
            device_threads: self.cores.len() / self.replicas,
            topology: match self.replicas {
                1 => Topology::Single,
                _ => Topology::Replicated,
            },
            warmup_steps: self.warmup_steps,
            steps: self.steps,
            ..defaults
        }
    }
}

/// The UUID that was given, or that of the first GPU.
fn uuid(word: &str) -> Result<String> {
    if word != "first" {
        return Ok(word.to_owned());
    }
    let machine = Machine::detect();
    match machine.gpus.first() {
        Some(gpu) => Ok(gpu.uuid.clone()),
        None => bail!("skipped: no CUDA device: {}", machine.gpu_message),
    }
}

fn parsed<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(word: &str) -> Result<T> {
    word.parse()
        .with_context(|| format!("cannot understand {word}"))
}
