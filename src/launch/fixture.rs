//! Settings and reports of honest processes, for tests to change.

use super::slots::{Slots, assign};
use super::{ServerResult, WorkerResult};
use crate::machine::Machine;
use crate::protocol::{
    DeviceJob, GpuReport, LinkReport, ReplicaReport, ServerReport, StepWindow, WorkerReport,
};
use crate::spec::settings::Settings;
use crate::terms::*;
use std::time::Duration;

/// One CPU device that trains a small model for four steps of eight examples.
pub fn settings() -> Settings {
    Settings {
        local_batch: 8,
        layers: vec![4, 2],
        warmup_steps: 1,
        steps: 4,
        timeout: Duration::from_secs(60),
        ..Settings::defaults(ModelName::Mlp)
    }
}

/// The settings of two replicas in one process, and their devices.
pub fn pair() -> (Settings, Slots) {
    let settings = Settings {
        topology: Topology::Replicated,
        devices_per_worker: 2,
        ..settings()
    };
    let slots = slots(&settings);
    (settings, slots)
}

/// The same with a GPU for each replica beside its core.
pub fn gpu_pair() -> (Settings, Slots) {
    let (settings, mut slots) = pair();
    for (number, device) in slots.workers[0].iter_mut().enumerate() {
        *device = DeviceJob::Cuda {
            uuid: gpu_uuid(number),
            cores: vec![number],
        };
    }
    (settings, slots)
}

/// Of one of the GPUs of a machine.
pub fn gpu_uuid(number: usize) -> String {
    format!("GPU-{number:08x}-0000-0000-0000-000000000000")
}

/// The devices of a cell on a machine of eight cores.
pub fn slots(settings: &Settings) -> Slots {
    let machine = Machine {
        cores: (0..8).map(|core| vec![core]).collect(),
        ..Machine::default()
    };
    assign(settings, &machine).unwrap()
}

/// The settings of two workers, each with one replica, and an asynchronous server.
pub fn cluster() -> (Settings, Slots) {
    let settings = Settings {
        topology: Topology::ParameterServer,
        workers: 2,
        servers: 1,
        ..settings()
    };
    let slots = slots(&settings);
    (settings, slots)
}

/// Bytes of the parameters: 4 times 2 weights and 2 biases of 4 bytes.
pub const MODEL_BYTES: u64 = 40;

/// What both workers of that cluster say: 4 steps of 1, 2, 3 and 4 seconds after 1 of warm-up.
pub fn honest_workers() -> Vec<WorkerResult> {
    let worker = |rank: usize| {
        let mut worker = honest();
        worker.windows.retain(|window| window.replica == 0);
        worker.replicas.truncate(1);
        worker.replicas[0].cores = rank.to_string();
        worker.links = vec![LinkReport {
            peer: "server 0".into(),
            pulled_bytes: 4 * MODEL_BYTES,
            pushed_bytes: 4 * MODEL_BYTES,
            pull_seconds: 1e-8,
            push_seconds: 3e-8,
        }];
        worker
    };
    vec![worker(0), worker(1)]
}

/// What their server says.
pub fn honest_server() -> ServerResult {
    ServerResult {
        report: ServerReport {
            cores: "2".into(),
            held_bytes: MODEL_BYTES,
            updates: 10,
            gradients: 10,
            dropped: 0,
            staleness: vec![4, 5, 1],
            alone_updates: 3,
            received_bytes: 10 * MODEL_BYTES,
            sent_bytes: 12 * MODEL_BYTES,
            receive_seconds: 1.0,
            apply_seconds: 2.0,
            send_seconds: 3.0,
            peak_memory_bytes: 500,
            cpu_seconds: 6.0,
        },
        wall_seconds: 12.0,
    }
}

/// What a worker with two replicas says of 4 steps of 1, 2, 3 and 4 seconds, half of each forward.
pub fn honest() -> WorkerResult {
    let window = |replica: usize, step: u64| {
        let seconds = (step + 1) as f64;
        let mut phases = [0.0; Phase::COUNT];
        phases[Phase::Forward as usize] = seconds / 2.0;
        StepWindow {
            replica,
            first_step: step,
            steps: 1,
            seconds,
            phases,
        }
    };
    let replica = |replica: usize| ReplicaReport {
        replica,
        examples: 32,
        cores: replica.to_string(),
        first_loss: Some(2.0 + replica as f64),
        last_loss: Some(1.0 + replica as f64),
        input_checksum: 5,
        parameter_digest: Some("d1".to_owned()),
        gpu: None,
    };
    WorkerResult {
        windows: (0..8).map(|i| window(i / 4, i as u64 % 4)).collect(),
        replicas: vec![replica(0), replica(1)],
        links: Vec::new(),
        report: WorkerReport {
            steps: 4,
            total_steps: 5,
            global_steps: 5,
            checkpoints: 0,
            measured_from_seconds: 0.0,
            elapsed_seconds: 10.0,
            startup_seconds: 0.5,
            prefill_seconds: 0.25,
            first_step_seconds: 1.5,
            exchanged_bytes: 1000,
            peak_memory_bytes: 2000,
            cpu_seconds: 20.0,
            convolutions: Vec::new(),
            timing: "each step".to_owned(),
        },
        group: 100,
        wall_seconds: 11.0,
    }
}

/// What it says where each replica has a GPU: a graph of 100 launches a step, for which the host was busy
/// four fifths of the time.
pub fn honest_on_gpus() -> WorkerResult {
    let mut worker = honest();
    for (number, replica) in worker.replicas.iter_mut().enumerate() {
        replica.gpu = Some(GpuReport {
            uuid: gpu_uuid(number),
            name: "NVIDIA Test".into(),
            launches: 400,
            graph_launches: 4,
            host_seconds: 8.0,
            memory_bytes: 1 << 30,
            tf32: false,
        });
    }
    worker
}
