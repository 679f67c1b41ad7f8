//! Gradients of a model in f32, by the algorithms that the settings ask for, on the CPU or a GPU, against
//! those in f64 on the CPU.

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use xrun::spec::settings::Settings;
use xrun::terms::{Convolution, ModelName};
use xrun::worker::gpu::{self, Gpu};
use xrun::worker::input::Batch;
use xrun::worker::layer::Tape;
use xrun::worker::model::{self, Cifar10, Mlp, Model, SatSeq2seq, Sizes};

const EXAMPLES: usize = 32;

/// Random batches that are tried at most.
const BATCHES: usize = 8;

pub struct Checked {
    /// Largest `‖g32 − g64‖ / ‖g64‖` of a variable.
    pub worst: f64,
    /// Whether both types found all maxima at the same places; none where a GPU does not tell.
    pub same_places: Option<bool>,
}

/// Gradients in name order, and where each pooling layer found its maxima.
type Pass = (Vec<Tensor>, Vec<Vec<u8>>);

/// Compares both types on a batch for which they find all maxima at the same places, if one of a few
/// is such; on the GPU with this UUID, of a few batches, on the one with the least distance.
pub fn gradients(settings: &Settings, uuid: Option<&str>) -> Result<Checked> {
    let gpu = uuid.map(|uuid| open(settings, uuid)).transpose()?;
    let mut checked = compare(settings, gpu.as_ref())?;
    for _ in 1..BATCHES {
        if checked.same_places == Some(true) {
            break;
        }
        let next = compare(settings, gpu.as_ref())?;
        if gpu.is_none() || next.worst < checked.worst {
            checked = next;
        }
    }
    Ok(checked)
}

fn open(settings: &Settings, uuid: &str) -> Result<Gpu> {
    let options = gpu::Options {
        tf32: settings.tf32,
        cache: None,
    };
    Gpu::open(uuid, &options).context("opening the GPU")
}

fn compare(settings: &Settings, gpu: Option<&Gpu>) -> Result<Checked> {
    let batch = batch(settings)?;
    let (single, places) = match gpu {
        None => pass(settings, &batch, DType::F32)?,
        Some(gpu) => (pass_on(gpu, settings, &batch)?, Vec::new()),
    };
    let (double, places_in_double) = pass(settings, &batch, DType::F64)?;
    let mut worst = 0f64;
    for (a, b) in single.iter().zip(&double) {
        worst = worst.max(relative_distance(a, b)?);
    }
    // Without pooling there are no places on either.
    let told = gpu.is_none() || places_in_double.is_empty();
    Ok(Checked {
        worst,
        same_places: told.then_some(places == places_in_double),
    })
}

fn relative_distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    let length = |t: &Tensor| t.sqr()?.sum_all()?.to_scalar::<f64>();
    Ok((length(&(a.to_dtype(DType::F64)? - b)?)? / length(b)?).sqrt())
}

/// The f64 instance is the reference: it never takes a way with larger rounding errors.
fn way(settings: &Settings, dtype: DType) -> Convolution {
    match dtype {
        DType::F64 => Convolution::Im2col,
        _ => settings.convolution,
    }
}

fn batch(settings: &Settings) -> Result<Batch> {
    let cpu = &Device::Cpu;
    let labels: Vec<u32> = (0..EXAMPLES as u32).map(|i| i * 7 % 10).collect();
    let (inputs, targets) = match settings.model {
        ModelName::Cifar10 => (
            Tensor::randn(0f32, 1.0, (EXAMPLES, 24, 24, 3), cpu)?,
            Tensor::new(labels, cpu)?,
        ),
        ModelName::SatSeq2seq => {
            let side = settings.image_size;
            let frames = |count| Tensor::randn(0f32, 1.0, (EXAMPLES, side, side, count), cpu);
            (frames(settings.frames)?, frames(settings.predicted_frames)?)
        }
        ModelName::Mlp | ModelName::None => {
            let widths = (settings.layers.first().zip(settings.layers.last())).context("layers")?;
            (
                Tensor::randn(0f32, 1.0, (EXAMPLES, *widths.0), cpu)?,
                Tensor::randn(0f32, 1.0, (EXAMPLES, *widths.1), cpu)?,
            )
        }
    };
    Ok(Batch {
        examples: EXAMPLES,
        inputs,
        targets,
        label_sum: 0,
    })
}

fn pass(settings: &Settings, batch: &Batch, dtype: DType) -> Result<Pass> {
    let model: Box<dyn Model> = match settings.model {
        ModelName::Cifar10 => {
            Box::new(Cifar10::new(settings.seed, dtype)?.by(way(settings, dtype)))
        }
        ModelName::SatSeq2seq => {
            let model = SatSeq2seq::new(Sizes::of(settings), settings.seed, dtype)?;
            Box::new(model.by(way(settings, dtype)))
        }
        ModelName::Mlp | ModelName::None => {
            Box::new(Mlp::new(&settings.layers, settings.seed, dtype)?)
        }
    };
    let targets = match settings.model {
        ModelName::Cifar10 => batch.targets.clone(),
        _ => batch.targets.to_dtype(dtype)?,
    };
    let batch = Batch {
        inputs: batch.inputs.to_dtype(dtype)?,
        targets,
        ..batch.clone()
    };
    let mut tape = Tape::default();
    model.loss(&mut tape, &batch)?;
    tape.backward()?;
    let places = tape.places().map(<[u8]>::to_vec).collect();
    Ok((by_variable(model.as_ref(), &tape)?, places))
}

/// The gradients in f32 of a pass on a GPU, brought to the CPU.
fn pass_on(gpu: &Gpu, settings: &Settings, batch: &Batch) -> Result<Vec<Tensor>> {
    let device = gpu.device();
    let model = model::build_on(settings, settings.seed, device)?;
    let batch = Batch {
        inputs: batch.inputs.to_device(device)?,
        targets: batch.targets.to_device(device)?,
        ..batch.clone()
    };
    let mut tape = Tape::on(gpu.clone());
    model.loss(&mut tape, &batch)?;
    tape.backward()?;
    let gradients = by_variable(model.as_ref(), &tape)?.into_iter();
    let on_cpu = gradients.map(|gradient| gradient.to_device(&Device::Cpu));
    Ok(on_cpu.collect::<candle_core::Result<_>>()?)
}

/// The gradient of each variable, in name order.
fn by_variable(model: &dyn Model, tape: &Tape) -> Result<Vec<Tensor>> {
    let gradient =
        |(name, variable): &(String, Var)| tape.gradient(variable).cloned().context(name.clone());
    model.parameters().iter().map(gradient).collect()
}
