//! What the harness and a worker say to each other: a [`Job`] and [`Command`]s down, [`Event`]s up,
//! one JSON document a line. Knows neither files nor processes.

use crate::spec::settings::Settings;
use crate::terms::{Convolution, Phase, RoleName, Transport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Version of everything in this file. Both sides must have the same.
pub const VERSION: u32 = 3;

/// No event line is longer, since some launchers tear longer ones.
pub const MAX_EVENT_BYTES: usize = 1000;

/// The first line on a process's stdin: all that it knows of the experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub protocol: u32,
    pub role: RoleName,
    /// This process's number within its role, from 0.
    pub rank: usize,
    /// How many workers the cell has.
    pub world_size: usize,
    /// Text that only the processes of this repeat know: whoever says it belongs to them.
    pub token: String,
    pub settings: Settings,
    /// One per replica, in replica order; a server has one, with its cores.
    pub devices: Vec<DeviceJob>,
    /// Where generated input files are kept between repeats.
    pub cache: PathBuf,
    /// The folder of checkpoints, where rank 0 writes some.
    pub checkpoints: Option<PathBuf>,
}

/// Where one replica lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum DeviceJob {
    /// One pinned thread for each of these logical CPUs.
    Cpu { cores: Vec<usize> },
    /// One GPU, by its UUID as NVML writes it, and these logical CPUs for the replica's threads on the
    /// host.
    Cuda { uuid: String, cores: Vec<usize> },
}

impl DeviceJob {
    /// Of a GPU.
    pub fn uuid(&self) -> Option<&str> {
        match self {
            Self::Cpu { .. } => None,
            Self::Cuda { uuid, .. } => Some(uuid),
        }
    }
}

/// Later lines on stdin. The end of stdin means that the harness is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Command {
    /// Every process is ready: connect to these addresses and train. Workers get those of all servers,
    /// or with `all-reduce` those of all workers, by rank.
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
    /// What crossed one of a worker's links to other processes.
    Link(LinkReport),
    /// One ceiling that a probe has measured.
    Ceiling(Ceiling),
    /// The last event of a worker or probe that did its work.
    Finished(WorkerReport),
    /// The last event of a server that did its work.
    Served(ServerReport),
    /// The last event of a process that did not.
    Failed {
        reason: String,
        /// Where the failure is another process that did not answer.
        waiting: Option<Waiting>,
    },
}

/// What a process was doing when another one was lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Who did not answer: `server 0`, `worker 3`.
    pub peer: String,
    /// What it was waiting in: `pull`, `push`, `exchange`, …
    pub phase: Phase,
    /// Steps that it had done, warm-up included.
    pub step: u64,
    /// How long nothing had come; none where the connection was closed.
    pub silent_seconds: Option<f64>,
}

/// What crossed the link of one worker to one other process in measured steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// `server 0`, `worker 3`.
    pub peer: String,
    pub pulled_bytes: u64,
    pub pushed_bytes: u64,
    /// Time in which these bytes moved, waiting for the other side to answer apart.
    pub pull_seconds: f64,
    pub push_seconds: f64,
}

/// Evidence and totals of one server, over its whole life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerReport {
    /// Logical CPUs that its threads were bound to, as [`cpu_list`] writes them.
    pub cores: String,
    /// Parameters that it holds, in bytes; those of all servers sum to the model.
    pub held_bytes: u64,
    /// Times that its parameters were updated: the global step, as this server counts it.
    pub updates: u64,
    /// Whole gradients that came from workers.
    pub gradients: u64,
    /// Gradients of a step that was complete without them.
    pub dropped: u64,
    /// How many gradients were how stale: applied when so many updates had come after the one that their
    /// parameters were pulled at. The last place counts all staler ones too.
    pub staleness: Vec<u64>,
    /// Updates that were done when the last of the workers pulled for the first time.
    pub alone_updates: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// Processor-bound time of its threads, all together.
    pub receive_seconds: f64,
    pub apply_seconds: f64,
    pub send_seconds: f64,
    pub peak_memory_bytes: u64,
    pub cpu_seconds: f64,
}

/// Places of [`ServerReport::staleness`], so that the report fits an event.
pub const STALENESS_PLACES: usize = 24;

/// What the machine can do at most, measured apart from all training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    pub of: CeilingOf,
    /// Of some rounds, in [`CeilingOf::unit`].
    pub median: f64,
    /// The slowest and the fastest round.
    pub slowest: f64,
    pub fastest: f64,
}

/// What a ceiling bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CeilingOf {
    /// Copying within one core's memory; bytes count once.
    Copy,
    /// The model's tensors from one process to another.
    OneWay(Transport),
    /// There and back again, one after the other; bytes of both ways count.
    BothWays(Transport),
    /// All-reduce of two processes without waiting for each other; bytes of the model count once.
    AllReduce(Transport),
    /// All bytes that an update of the parameters reads and writes.
    Apply,
    /// Copies from page-locked memory of the host to a GPU.
    HostToDevice,
    DeviceToHost,
    /// Copies within a GPU's memory; bytes count once.
    DeviceToDevice,
    /// Products of large f32 matrices on a GPU.
    Gemm,
    /// The same where f32 may be rounded to TF32.
    GemmTf32,
    /// One kernel after another that does next to nothing.
    Launch,
    /// A sum over GPUs: what crosses a link of a ring.
    Nccl,
}

impl CeilingOf {
    /// What its numbers are in.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Gemm | Self::GemmTf32 => "TFLOP/s",
            Self::Launch => "µs",
            _ => "GB/s",
        }
    }
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
    /// What it did on its GPU; none on a CPU.
    pub gpu: Option<GpuReport>,
}

/// What one replica did on its GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuReport {
    /// As the CUDA driver gives it to the worker, in NVML's spelling: `GPU-` and groups of hexadecimal
    /// digits.
    pub uuid: String,
    pub name: String,
    /// Kernels, copies and library calls put on the GPU's queues in measured steps; a replayed graph
    /// counts as many as it has nodes.
    pub launches: u64,
    /// Graphs replayed in measured steps.
    pub graph_launches: u64,
    /// Time of measured steps in which the host was busy putting work on queues: neither waiting for
    /// input nor for the GPU.
    pub host_seconds: f64,
    /// The most device memory in use that the process saw.
    pub memory_bytes: u64,
    /// Products of f32 matrices may round their factors to TF32.
    pub tf32: bool,
}

/// Evidence and totals of one worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Measured steps.
    pub steps: u64,
    /// All steps, warm-up included.
    pub total_steps: u64,
    /// Updates of the parameters by all workers together that this one knew of at its end.
    pub global_steps: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
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
    /// How steps were timed, in words: `each step`, `windows of 10 steps, device events`.
    pub timing: String,
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
        let length = |cpus: Vec<usize>, gpu: Option<GpuReport>| {
            let report = ReplicaReport {
                replica: 1023,
                examples: u64::MAX,
                cores: cpu_list(&cpus),
                first_loss: Some(-f64::MIN_POSITIVE),
                last_loss: Some(-f64::MIN_POSITIVE),
                input_checksum: u64::MAX,
                parameter_digest: Some("f".repeat(64)),
                gpu,
            };
            serde_json::to_string(&Event::Replica(report))
                .unwrap()
                .len()
        };
        // A name of NVML is at most 95 bytes long.
        let gpu = GpuReport {
            uuid: format!("GPU-{}", "f".repeat(36)),
            name: "N".repeat(95),
            launches: u64::MAX,
            graph_launches: u64::MAX,
            host_seconds: f64::MIN_POSITIVE,
            memory_bytes: u64::MAX,
            tf32: false,
        };
        assert!(length((0..1024).collect(), Some(gpu.clone())) < MAX_EVENT_BYTES);
        assert!(length((0..192).step_by(2).collect(), Some(gpu)) < MAX_EVENT_BYTES);
        // The first CPU of each of 176 cores whose two CPUs are neighbours.
        assert!(length((0..352).step_by(2).collect(), None) < MAX_EVENT_BYTES);
    }
}
