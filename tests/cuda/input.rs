//! Inputs of replicas on a GPU, against those of the same job on cores.

use candle_core::{DType, Tensor, TensorId};
use std::path::Path;
use xrun::protocol::{DeviceJob, Job, VERSION};
use xrun::spec::settings::Settings;
use xrun::terms::*;
use xrun::worker::clock::StepClock;
use xrun::worker::gpu::Gpu;
use xrun::worker::input::{self, Batch};

const BATCH: usize = 20;

fn job(cache: &Path, settings: Settings) -> Job {
    Job {
        protocol: VERSION,
        rank: 0,
        world_size: 1,
        role: RoleName::Worker,
        token: String::new(),
        checkpoints: None,
        devices: vec![DeviceJob::Cpu { cores: vec![0] }],
        settings,
        cache: cache.to_path_buf(),
    }
}

fn images(source: InputSource, placement: Placement, pipeline: DevicePipeline) -> Settings {
    Settings {
        local_batch: BATCH,
        input_source: source,
        input_placement: placement,
        device_pipeline: pipeline,
        input_threads: 2,
        shuffle_buffer: 100,
        ..Settings::defaults(ModelName::Cifar10)
    }
}

/// What a batch was when work that follows it on the queue came to it.
struct Seen {
    inputs: Vec<f32>,
    targets: Vec<f32>,
    label_sum: u64,
}

/// The first batches of a replica on cores.
fn on_cores(job: &Job, batches: usize) -> Vec<Seen> {
    let mut input = input::open(job, &[None]).unwrap().remove(0);
    input.prefill().unwrap();
    let next = |_| {
        let batch = input.next(&mut StepClock::start()).unwrap();
        Seen::of(&batch)
    };
    (0..batches).map(next).collect()
}

/// The first batches of a replica on `gpu`, and how many sets of tensors they came in. Nothing waits for
/// the GPU before all of them are on its queue.
fn on_gpu(gpu: &Gpu, job: &Job, batches: usize) -> (Vec<Seen>, usize) {
    let mut input = input::open(job, &[Some(gpu.clone())]).unwrap().remove(0);
    input.prefill().unwrap();
    let mut ids: Vec<[TensorId; 2]> = Vec::new();
    let copies: Vec<Batch> = (0..batches)
        .map(|_| {
            let batch = input.next(&mut StepClock::start()).unwrap();
            ids.push([batch.inputs.id(), batch.targets.id()]);
            copied(gpu, &batch)
        })
        .collect();
    ids.sort_by_key(|ids| format!("{ids:?}"));
    ids.dedup();
    (copies.iter().map(Seen::of).collect(), ids.len())
}

/// The batch in memory of its own, as a step would read it: later, on the main queue.
fn copied(gpu: &Gpu, batch: &Batch) -> Batch {
    let [inputs, targets] = [&batch.inputs, &batch.targets].map(|tensor| {
        let copy = Tensor::zeros(tensor.dims(), tensor.dtype(), gpu.device()).unwrap();
        let done = match tensor.dtype() {
            DType::U32 => gpu.copy::<u32>(gpu.span(tensor).unwrap(), gpu.span(&copy).unwrap()),
            _ => gpu.copy::<f32>(gpu.span(tensor).unwrap(), gpu.span(&copy).unwrap()),
        };
        done.unwrap();
        copy
    });
    Batch {
        inputs,
        targets,
        ..batch.clone()
    }
}

impl Seen {
    fn of(batch: &Batch) -> Self {
        let numbers = |tensor: &Tensor| {
            let tensor = tensor.to_device(&candle_core::Device::Cpu).unwrap();
            let tensor = tensor.to_dtype(DType::F32).unwrap();
            tensor.flatten_all().unwrap().to_vec1().unwrap()
        };
        Self {
            inputs: numbers(&batch.inputs),
            targets: numbers(&batch.targets),
            label_sum: batch.label_sum,
        }
    }
}

/// Panics where the GPU's batches are not those of the cores, in order, to within `bound`.
fn assert_same(name: &str, on_gpu: &[Seen], on_cores: &[Seen], bound: f32) {
    assert_eq!(on_gpu.len(), on_cores.len());
    for (number, (gpu, cores)) in on_gpu.iter().zip(on_cores).enumerate() {
        assert_eq!(gpu.label_sum, cores.label_sum, "{name}, batch {number}");
        for (gpu, cores) in [(&gpu.inputs, &cores.inputs), (&gpu.targets, &cores.targets)] {
            assert_eq!(gpu.len(), cores.len());
            let differences = gpu.iter().zip(cores).map(|(a, b)| (a - b).abs());
            // A NaN must not be lost in a maximum.
            let largest = differences.fold(0.0, |max, d| if d <= max { max } else { d });
            assert!(
                largest <= bound,
                "{name}, batch {number}: they differ by {largest}"
            );
        }
    }
}

#[test]
fn a_pipeline_on_the_host_gives_a_gpu_the_same_batches_through_two_slots() {
    let Some(gpu) = crate::gpu() else { return };
    let cache = tempfile::tempdir().unwrap();
    for pipelines in [Pipelines::PerReplica, Pipelines::Shared] {
        let settings = Settings {
            pipelines,
            ..images(
                InputSource::Generated,
                Placement::Host,
                DevicePipeline::PerImage,
            )
        };
        let job = job(cache.path(), settings);
        let (seen, slots) = on_gpu(&gpu, &job, 9);
        assert_same("host", &seen, &on_cores(&job, 9), 0.0);
        assert_eq!(slots, 2);
    }
}

#[test]
fn replicas_on_gpus_share_a_pipeline_without_seeing_an_image_twice() {
    let Some(gpu) = crate::gpu() else { return };
    let cache = tempfile::tempdir().unwrap();
    let mut settings = images(
        InputSource::Generated,
        Placement::Host,
        DevicePipeline::PerImage,
    );
    settings.pipelines = Pipelines::Shared;
    let job = job(cache.path(), settings);
    let mut inputs = input::open(&job, &[Some(gpu.clone()), Some(gpu)]).unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        for input in &mut inputs {
            let batch = input.next(&mut StepClock::start()).unwrap();
            let images = Seen::of(&batch).inputs;
            let images = images.chunks_exact(images.len() / BATCH);
            seen.extend(images.map(|image| image.iter().map(|x| x.to_bits()).collect::<Vec<_>>()));
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 2 * 4 * BATCH);
}

#[test]
fn every_cut_of_the_distortion_on_a_gpu_gives_the_images_of_the_cores() {
    let Some(gpu) = crate::gpu() else { return };
    let cache = tempfile::tempdir().unwrap();
    let settings = |pipeline| images(InputSource::Generated, Placement::Device, pipeline);
    let cores = on_cores(&job(cache.path(), settings(DevicePipeline::Batched)), 5);
    for pipeline in [
        DevicePipeline::PerImage,
        DevicePipeline::Batched,
        DevicePipeline::Fused,
    ] {
        let job = job(cache.path(), settings(pipeline));
        let before = gpu.launches();
        let (seen, slots) = on_gpu(&gpu, &job, 5);
        assert_same(&pipeline.to_string(), &seen, &cores, 1e-5);
        assert_eq!(slots, 1);
        // A copy to the GPU each, and two within it by the test.
        let kernels = (gpu.launches() - before) / 5 - 3;
        let due = match pipeline {
            DevicePipeline::PerImage => 6 * BATCH as u64,
            DevicePipeline::Batched => 6,
            DevicePipeline::Fused => 1,
        };
        assert_eq!(kernels, due, "{pipeline}");
    }
}

#[test]
fn a_gpu_draws_the_numbers_that_cores_draw() {
    let Some(gpu) = crate::gpu() else { return };
    let normal = |layers: &[usize]| Settings {
        local_batch: BATCH,
        layers: layers.to_vec(),
        ..Settings::defaults(ModelName::Mlp)
    };
    let fields = |image_size, frames, predicted_frames| Settings {
        local_batch: 3,
        image_size,
        frames,
        predicted_frames,
        ..Settings::defaults(ModelName::SatSeq2seq)
    };
    for settings in [
        normal(&[256, 9, 64]),
        normal(&[33, 9, 1]),
        fields(32, 6, 3),
        fields(7, 1, 2),
    ] {
        let job = job(Path::new("/no/such/folder"), settings);
        let (seen, slots) = on_gpu(&gpu, &job, 3);
        let name = job.settings.input_source.to_string();
        assert_same(&name, &seen, &on_cores(&job, 3), 1e-5);
        assert_eq!(slots, 1);
    }
}

#[test]
fn a_resident_batch_stays_on_the_gpu() {
    let Some(gpu) = crate::gpu() else { return };
    let cache = tempfile::tempdir().unwrap();
    let mut all = vec![images(
        InputSource::Resident,
        Placement::Host,
        DevicePipeline::PerImage,
    )];
    for model in [ModelName::Mlp, ModelName::SatSeq2seq] {
        all.push(Settings {
            local_batch: 3,
            input_source: InputSource::Resident,
            ..Settings::defaults(model)
        });
    }
    for settings in all {
        let job = job(cache.path(), settings);
        let (seen, slots) = on_gpu(&gpu, &job, 3);
        assert_same(
            &job.settings.model.to_string(),
            &seen,
            &on_cores(&job, 3),
            1e-5,
        );
        assert_eq!(slots, 1);
    }
}
