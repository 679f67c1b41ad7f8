//! Whole replicas as a worker runs them, on a GPU beside a CPU: what they report of the same steps.

use std::time::Instant;
use xrun::protocol::{DeviceJob, Job, VERSION};
use xrun::spec::settings::Settings;
use xrun::terms::{Convolution, InputSource, ModelName, Phase, RoleName};
use xrun::worker::gpu::Gpu;
use xrun::worker::replica::{self, Outcome};

/// Few small steps of a model.
fn settings(model: ModelName) -> Settings {
    let defaults = Settings::defaults(model);
    Settings {
        local_batch: 4,
        layers: vec![16, 64, 16],
        image_size: 8,
        channels: vec![2, 4],
        input_source: match model {
            ModelName::Cifar10 => InputSource::Resident,
            _ => defaults.input_source,
        },
        // At the usual 0.1 rounding alone makes losses of cifar10 differ after 20 steps.
        learning_rate: match model {
            ModelName::Cifar10 => 0.03,
            _ => defaults.learning_rate,
        },
        warmup_steps: 4,
        steps: 16,
        ..defaults
    }
}

fn run(settings: &Settings, device: DeviceJob) -> Outcome {
    let cache = tempfile::tempdir().unwrap();
    let job = Job {
        protocol: VERSION,
        role: RoleName::Worker,
        rank: 0,
        world_size: 1,
        token: String::new(),
        settings: settings.clone(),
        devices: vec![device],
        cache: cache.path().into(),
        checkpoints: None,
    };
    let mut replicas = replica::build(&job).unwrap();
    replicas.remove(0).run(Instant::now()).unwrap()
}

fn on_cpu(settings: &Settings) -> Outcome {
    run(settings, DeviceJob::Cpu { cores: vec![0] })
}

fn on_gpu(gpu: &Gpu, settings: &Settings) -> Outcome {
    let device = DeviceJob::Cuda {
        uuid: gpu.uuid().to_owned(),
        cores: vec![0],
    };
    run(settings, device)
}

#[test]
fn losses_of_twenty_steps_are_those_of_the_cpu() {
    let Some(gpu) = crate::gpu() else { return };
    for model in [ModelName::Cifar10, ModelName::Mlp, ModelName::SatSeq2seq] {
        let settings = settings(model);
        let [host, device] = [on_cpu(&settings), on_gpu(&gpu, &settings)].map(|outcome| {
            let report = outcome.report;
            assert_eq!((outcome.total_steps, report.examples), (20, 64), "{model}");
            [report.first_loss.unwrap(), report.last_loss.unwrap()]
        });
        for (host, device) in host.into_iter().zip(device) {
            assert!(
                (host - device).abs() <= 1e-3 * host,
                "{model}: {device} for {host}"
            );
        }
    }
}

#[test]
fn a_captured_step_does_what_its_parts_do() {
    let Some(gpu) = crate::gpu() else { return };
    for model in [ModelName::Cifar10, ModelName::Mlp, ModelName::SatSeq2seq] {
        let [parts, graph] = [false, true].map(|cuda_graph| {
            let settings = Settings {
                cuda_graph,
                // Which of cuDNN's is fastest, and so which bits it gives, may differ from one replica to the next.
                convolution: Convolution::Im2col,
                ..settings(model)
            };
            on_gpu(&gpu, &settings)
        });
        let of = |outcome: &Outcome| outcome.report.parameter_digest.clone().unwrap();
        assert_eq!(
            of(&parts),
            of(&graph),
            "{model}: parameters after the last step"
        );
        assert_eq!(parts.report.last_loss, graph.report.last_loss, "{model}");
        let [parts, graph] = [parts, graph].map(|outcome| outcome.report.gpu.unwrap());
        assert_eq!(
            (parts.graph_launches, graph.graph_launches),
            (0, 16),
            "{model}"
        );
        assert_eq!(
            parts.launches, graph.launches,
            "{model}: a replay counts its nodes"
        );
    }
}

#[test]
fn phases_of_a_replayed_graph_are_those_of_its_parts() {
    let Some(gpu) = crate::gpu() else { return };
    for cuda_graph in [false, true] {
        let settings = Settings {
            cuda_graph,
            layers: vec![64, 512, 512, 64],
            local_batch: 64,
            steps: 30,
            ..settings(ModelName::Mlp)
        };
        let outcome = on_gpu(&gpu, &settings);
        let last = outcome.windows.last().unwrap();
        let of = |phase: Phase| last.phases[phase as usize];
        // Backward has twice the products of forward, and the optimizer reads more than a batch.
        let (forward, backward) = (of(Phase::Forward), of(Phase::Backward));
        assert!(
            backward > 0.5 * forward && of(Phase::Apply) > 0.0,
            "graph {cuda_graph}: {last:?}"
        );
    }
}

#[test]
fn windows_hold_ten_steps_and_their_phases() {
    let Some(gpu) = crate::gpu() else { return };
    let outcome = on_gpu(&gpu, &settings(ModelName::Cifar10));
    let steps: Vec<(u64, u64)> = (outcome.windows.iter())
        .map(|window| (window.first_step, window.steps))
        .collect();
    assert_eq!(steps, [(0, 10), (10, 6)]);
    for window in &outcome.windows {
        let phases: f64 = window.phases.iter().sum();
        assert!(
            phases > 0.0 && phases <= window.seconds * 1.01,
            "{window:?}"
        );
    }
    assert_eq!(outcome.timing, "windows of 10 steps, device events");
    let report = outcome.report.gpu.unwrap();
    assert_eq!(report.uuid, gpu.uuid());
    assert!(report.launches >= 16 && report.memory_bytes > 0 && report.host_seconds > 0.0);
}
