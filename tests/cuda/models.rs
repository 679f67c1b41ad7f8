//! Whole models on a GPU beside the CPU: gradients in f64, and losses of some updates in f32.

use crate::beside::{numbers, relative_distance};
use candle_core::{DType, Device, Result, Tensor, Var};
use xrun::spec::settings::Settings;
use xrun::terms::ModelName;
use xrun::worker::gpu::{Gpu, Span};
use xrun::worker::input::Batch;
use xrun::worker::layer::Tape;
use xrun::worker::model::{self, Cifar10, Mlp, Model, SatSeq2seq, Sizes, Variables};
use xrun::worker::optimizer::{Config, GpuOptimizer, Optimizer};

const MODELS: [ModelName; 3] = [ModelName::Cifar10, ModelName::Mlp, ModelName::SatSeq2seq];

const EXAMPLES: usize = 3;

/// A small model of each kind.
fn settings(model: ModelName) -> Settings {
    Settings {
        layers: vec![16, 40, 8],
        image_size: 8,
        channels: vec![2, 4],
        predicted_frames: 2,
        ..Settings::defaults(model)
    }
}

fn model_of(settings: &Settings, variables: Variables) -> Result<Box<dyn Model>> {
    Ok(match settings.model {
        ModelName::Cifar10 => Box::new(Cifar10::of(variables)?),
        ModelName::SatSeq2seq => Box::new(SatSeq2seq::of(Sizes::of(settings), variables)?),
        ModelName::Mlp | ModelName::None => Box::new(Mlp::of(&settings.layers, variables)?),
    })
}

fn batch(settings: &Settings, dtype: DType, device: &Device) -> Result<Batch> {
    let there = |numbers: Tensor| numbers.to_dtype(dtype)?.to_device(device);
    let side = settings.image_size;
    let (inputs, targets) = match settings.model {
        ModelName::Cifar10 => (
            there(numbers(5, (EXAMPLES, 24, 24, 3)))?,
            Tensor::new(&[3u32, 0, 9], device)?,
        ),
        ModelName::SatSeq2seq => (
            there(numbers(5, (EXAMPLES, side, side, 3)))?,
            there(numbers(
                6,
                (EXAMPLES, side, side, settings.predicted_frames),
            ))?,
        ),
        ModelName::Mlp | ModelName::None => (
            there(numbers(5, (EXAMPLES, settings.layers[0])))?,
            there(numbers(6, (EXAMPLES, settings.layers[2])))?,
        ),
    };
    Ok(Batch {
        examples: EXAMPLES,
        inputs,
        targets,
        label_sum: 0,
    })
}

/// The loss, and all gradients in name order, on the CPU.
fn gradients(settings: &Settings, mut tape: Tape, device: &Device) -> Result<(f64, Vec<Tensor>)> {
    let model = model_of(settings, Variables::new(3, DType::F64).on(device))?;
    let batch = batch(settings, DType::F64, device)?;
    let mut loss = None;
    for _ in 0..2 {
        tape.rewind();
        loss = model.loss(&mut tape, &batch)?;
        tape.backward()?;
    }
    let gradient = |(_, variable): &(String, Var)| {
        let gradient = tape.gradient(variable).expect("one for each variable");
        gradient.to_device(&Device::Cpu)
    };
    let gradients = model.parameters().iter().map(gradient);
    Ok((loss.expect("it has one"), gradients.collect::<Result<_>>()?))
}

#[test]
fn gradients_in_f64_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    for model in MODELS {
        let settings = settings(model);
        let (loss, host) = gradients(&settings, Tape::default(), &Device::Cpu).unwrap();
        let tape = Tape::on(gpu.clone());
        let (on_gpu, device) = gradients(&settings, tape, gpu.device()).unwrap();
        assert!(
            (on_gpu / loss - 1.0).abs() < 1e-12,
            "{model}: {on_gpu}, not {loss}"
        );
        for (at, (host, device)) in host.iter().zip(&device).enumerate() {
            let distance = relative_distance(device, host);
            assert!(distance < 1e-10, "{model}, variable {at}: {distance:e}");
        }
    }
}

/// Losses of some steps of training, as `update` does it for variables and their gradients.
fn losses(
    settings: &Settings,
    mut tape: Tape,
    device: &Device,
    update: impl FnOnce(&[(String, Var)]) -> Box<dyn FnMut(&[(String, Var)], &[Tensor])>,
) -> Vec<f64> {
    let model = model::build_on(settings, 3, device).unwrap();
    let batch = batch(settings, DType::F32, device).unwrap();
    let mut update = update(model.parameters());
    let step = |_| {
        tape.rewind();
        let loss = model.loss(&mut tape, &batch).unwrap().unwrap();
        tape.backward().unwrap();
        let gradient = |(_, variable): &(String, Var)| tape.gradient(variable).unwrap().clone();
        let gradients: Vec<Tensor> = model.parameters().iter().map(gradient).collect();
        update(model.parameters(), &gradients);
        loss
    };
    (0..20).map(step).collect()
}

fn numbers_of(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn losses_on_cpu(settings: &Settings) -> Vec<f64> {
    let config = Config::of(settings);
    losses(settings, Tape::default(), &Device::Cpu, |variables| {
        let mut weights: Vec<Vec<f32>> = variables.iter().map(|(_, v)| numbers_of(v)).collect();
        let parts: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
        let mut optimizer = Optimizer::new(config, &parts);
        Box::new(move |variables, gradients| {
            let gradients: Vec<Vec<f32>> = gradients.iter().map(numbers_of).collect();
            let pairs = weights.iter_mut().zip(&gradients);
            optimizer.step(pairs.map(|(w, g)| (&mut w[..], &g[..])).collect());
            for ((_, variable), weights) in variables.iter().zip(&weights) {
                let weights = Tensor::from_slice(weights, variable.shape(), &Device::Cpu);
                variable.set(&weights.unwrap()).unwrap();
            }
        })
    })
}

fn losses_on_gpu(gpu: &Gpu, settings: &Settings) -> Vec<f64> {
    let config = Config::of(settings);
    losses(settings, Tape::on(gpu.clone()), gpu.device(), |variables| {
        let span = |tensor: &Tensor| gpu.span::<f32>(tensor).unwrap();
        let weights: Vec<Span<f32>> = variables.iter().map(|(_, v)| span(v)).collect();
        let mut optimizer = GpuOptimizer::new(config, gpu, &weights).unwrap();
        let gpu = gpu.clone();
        Box::new(move |_, gradients| {
            let at = gradients.iter().map(|tensor| gpu.span(tensor).unwrap());
            optimizer.step(&at.collect::<Vec<_>>(), 1.0).unwrap();
        })
    })
}

#[test]
fn losses_of_twenty_updates_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    for model in MODELS {
        let settings = settings(model);
        let (host, device) = (losses_on_cpu(&settings), losses_on_gpu(&gpu, &settings));
        for (step, (host, device)) in host.iter().zip(&device).enumerate() {
            let error = (device / host - 1.0).abs();
            assert!(error < 1e-3, "{model}, step {step}: {device}, not {host}");
        }
        assert!(host[19] < host[0], "{model} learns: {host:?}");
    }
}
