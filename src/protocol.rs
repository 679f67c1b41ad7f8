//! What the harness and a worker say to each other: a [`Job`] and [`Command`]s down, [`Event`]s up,
//! one JSON document a line. Knows neither files nor processes.

use crate::spec::settings::Settings;
use crate::terms::{Convolution, Phase};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Version of everything in this file. Both sides must have the same.
pub const VERSION: u32 = 1;

/// No event line is longer, since some launchers tear longer ones.
pub const MAX_EVENT_BYTES: usize = 1000;

/// The first line on a worker's stdin: all that it knows of the experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub protocol: u32,
    /// This worker's number from 0.
    pub rank: usize,
    /// How many workers the cell has.
    pub world_size: usize,
    pub settings: Settings,
    /// One per replica, in replica order.
    pub devices: Vec<DeviceJob>,
    /// Where generated input files are kept between repeats.
    pub cache: PathBuf,
}

/// Where one replica lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum DeviceJob {
    /// One pinned thread for each of these logical CPUs.
    Cpu {
        cores: Vec<usize>,
    },
    Cuda {
        uuid: String,
    },
}

/// Later lines on stdin. The end of stdin means that the harness is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Command {
    /// Every role is ready: connect to these addresses and train.
    Start { peers: Vec<String> },
}

/// One line on a worker's stdout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// Everything is built and bound; input pipelines may be filling.
    Ready {
        protocol: u32,
        program: String,
        address: Option<String>,
    },
    /// Steps done so far, warm-up included, of replica 0; for live progress only.
    Progress { steps: u64 },
    /// Consecutive measured steps of one replica. Sent after the clock has stopped.
    Step(StepWindow),
    /// What one replica proves about itself.
    Replica(ReplicaReport),
    /// The last event of a worker that did its work.
    Finished(WorkerReport),
    /// The last event of one that did not.
    Failed { reason: String },
}

/// Times of `steps` consecutive steps of one replica, in seconds in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepWindow {
    /// The replica's number within its worker.
    pub replica: usize,
    /// Number of the window's first step from 0, counted after warm-up.
    pub first_step: u64,
    pub steps: u64,
    pub seconds: f64,
    /// In the order of [`Phase`]; what is left of `seconds` belongs to no phase.
    pub phases: [f64; Phase::COUNT],
}

/// Evidence of one replica.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaReport {
    pub replica: usize,
    /// Examples of measured steps.
    pub examples: u64,
    /// Logical CPUs that its threads were bound to, read back from the kernel, as [`cpu_list`]
    /// writes them.
    pub cores: String,
    /// Loss of the first step of all, warm-up included, and of the last; none for the null model.
    pub first_loss: Option<f64>,
    pub last_loss: Option<f64>,
    /// Sum of all bytes of all labels that it trained on: input that was really read.
    pub input_checksum: u64,
    /// Hash of all parameters in name order after the last step.
    pub parameter_digest: Option<String>,
}

/// Evidence and totals of one worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Measured steps.
    pub steps: u64,
    /// From `Start` to the start of the first measured step: workers of one cell compare their windows
    /// by it.
    pub measured_from_seconds: f64,
    /// From the start of the first measured step to the end of the last, over all replicas.
    pub elapsed_seconds: f64,
    /// From `Start` to the start of the first step, prefill apart.
    pub startup_seconds: f64,
    /// Filling the shuffle buffers of host pipelines.
    pub prefill_seconds: f64,
    /// The first step of all, slowest replica.
    pub first_step_seconds: f64,
    /// Bytes of gradients and parameters that crossed from one replica to another, or to the host.
    pub exchanged_bytes: u64,
    pub peak_memory_bytes: u64,
    /// Processor time of the whole process, all threads, user and system.
    pub cpu_seconds: f64,
    /// The algorithms that ran, layer by layer, for models with convolutions.
    pub convolutions: Vec<Convolution>,
}

/// Numbers of logical CPUs as the kernel writes them: ascending, each once, neighbours as a range:
/// `0-3,8`. Equal sets have equal text, and the text of many CPUs still fits into an event.
pub fn cpu_list(cpus: &[usize]) -> String {
    let numbers: Vec<usize> = BTreeSet::from_iter(cpus).into_iter().copied().collect();
    let range = |range: &[usize]| match range {
        [first, .., last] => format!("{first}-{last}"),
        single => single.iter().map(usize::to_string).collect(),
    };
    let ranges = numbers.chunk_by(|a, b| a + 1 == *b);
    ranges.map(range).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cpus_are_listed_as_the_kernel_lists_them() {
        assert_eq!(cpu_list(&[8, 2, 0, 1, 3, 0]), "0-3,8");
        assert_eq!(cpu_list(&[5, 4]), "4-5");
        assert_eq!(cpu_list(&[7]), "7");
        assert_eq!(cpu_list(&[]), "");
    }

    /// The numbers that a list stands for.
    fn parse(list: &str) -> Vec<usize> {
        let number = |text: &str| text.parse::<usize>().unwrap();
        let range = |part: &str| match part.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(part)..=number(part),
        };
        let parts = list.split(',').filter(|part| !part.is_empty());
        parts.flat_map(range).collect()
    }

    proptest! {
        #[test]
        fn a_list_stands_for_exactly_its_cpus(cpus in prop::collection::vec(0usize..300, 0..200)) {
            let each_once: Vec<usize> = BTreeSet::from_iter(&cpus).into_iter().copied().collect();
            prop_assert_eq!(parse(&cpu_list(&cpus)), each_once);
        }
    }

    #[test]
    fn the_evidence_of_a_replica_on_a_large_machine_is_an_event() {
        let length = |cpus: Vec<usize>| {
            let report = ReplicaReport {
                replica: 1023,
                examples: u64::MAX,
                cores: cpu_list(&cpus),
                first_loss: Some(-f64::MIN_POSITIVE),
                last_loss: Some(-f64::MIN_POSITIVE),
                input_checksum: u64::MAX,
                parameter_digest: Some("f".repeat(64)),
            };
            serde_json::to_string(&Event::Replica(report))
                .unwrap()
                .len()
        };
        assert!(length((0..1024).collect()) < MAX_EVENT_BYTES);
        // The first CPU of each of 176 cores whose two CPUs are neighbours.
        assert!(length((0..352).step_by(2).collect()) < MAX_EVENT_BYTES);
    }
}
