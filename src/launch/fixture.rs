//! Settings and reports of an honest worker, for tests to change.

use super::WorkerResult;
use super::slots::{Slots, assign};
use crate::machine::Machine;
use crate::protocol::{ReplicaReport, StepWindow, WorkerReport};
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
    let machine = Machine {
        cores: vec![vec![0], vec![1]],
        ..Machine::default()
    };
    let slots = assign(&settings, &machine).unwrap();
    (settings, slots)
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
    };
    WorkerResult {
        windows: (0..8).map(|i| window(i / 4, i as u64 % 4)).collect(),
        replicas: vec![replica(0), replica(1)],
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
        },
        wall_seconds: 11.0,
    }
}
