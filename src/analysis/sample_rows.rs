//! Hand-made rows for tests: cells of the CIFAR-10 network with given throughput and phases.

use crate::analysis::{AxisStory, Story};
use crate::table::{Gpus, Key, Measured, Provenance, RepeatRow, Resolved};
use crate::terms::{Mark, Outcome, Phase};
use std::collections::BTreeMap;

/// Builds all rows of one cell. Repeats differ by a fixed pattern of at most one per cent.
#[derive(Clone)]
pub struct RowBuilder {
    row: RepeatRow,
    rate: f64,
    shares: [f64; Phase::COUNT],
    gpus: Gpus,
}

const PATTERN: [f64; 6] = [0.0, 0.004, -0.006, 0.010, -0.003, 0.007];

impl RowBuilder {
    /// `replicas` replicas with local batch 128, input on the host; half forward, half backward.
    pub fn cifar10(replicas: u32) -> RowBuilder {
        let settings = [
            ("model.name", "cifar10"),
            ("model.local_batch", "128"),
            ("input.source", "generated"),
            ("input.placement", "host"),
            ("cluster.topology", "replicated"),
        ];
        let mut shares = [0.0; Phase::COUNT];
        shares[Phase::Forward as usize] = 0.4;
        shares[Phase::Backward as usize] = 0.6;
        let row = RepeatRow {
            key: Key {
                run: 1,
                cell: String::new(),
                repeat: 0,
            },
            block: 0,
            position: 1,
            build: 1,
            label: String::new(),
            twin_of: String::new(),
            started_at: "2030-01-01T00:00:00Z".into(),
            outcome: Outcome::Completed,
            reason: String::new(),
            marks: Vec::new(),
            axis_labels: BTreeMap::new(),
            settings: settings.map(|(k, v)| (k.into(), v.into())).into(),
            resolved: Resolved::default(),
            measured: None,
            ceilings: crate::table::Ceilings::default(),
            state: crate::table::State::default(),
            provenance: Provenance::default(),
        };
        let builder = RowBuilder {
            row,
            rate: 1000.0,
            shares,
            gpus: Gpus::default(),
        };
        builder.replicas(replicas).input("input on host")
    }

    /// The null model with the host pipeline.
    pub fn pipeline_only(rate: f64) -> RowBuilder {
        let mut builder = RowBuilder::cifar10(1).set("model.name", "none").rate(rate);
        builder.row.axis_labels.clear();
        builder.row.label = "pipeline only".into();
        builder
    }

    fn replicas(mut self, replicas: u32) -> RowBuilder {
        self.row.resolved.replicas = replicas;
        self.row.resolved.global_batch = u64::from(replicas) * 128;
        self.set("devices.per_worker", &replicas.to_string())
    }

    /// The arm of the zip axis `input`, with the settings that the label stands for.
    pub fn input(mut self, label: &str) -> RowBuilder {
        self.row.axis_labels.insert("input".into(), label.into());
        let replicas = self.row.resolved.replicas;
        self.row.label = match replicas {
            1 => format!("1 device, {label}"),
            _ => format!("{replicas} devices, {label}"),
        };
        match label {
            "input on device" => self.set("input.placement", "device"),
            "no input" => {
                self.row.settings.remove("input.placement");
                self.set("input.source", "resident")
            }
            _ => self,
        }
    }

    /// The label of a zip axis.
    pub fn axis(mut self, name: &str, label: &str) -> RowBuilder {
        self.row.axis_labels.insert(name.into(), label.into());
        self
    }

    pub fn set(mut self, key: &str, value: &str) -> RowBuilder {
        self.row.settings.insert(key.into(), value.into());
        self
    }

    /// A fixed global batch instead of a fixed local one.
    pub fn strong(mut self, global_batch: u64) -> RowBuilder {
        self.row.settings.remove("model.local_batch");
        self.row.resolved.global_batch = global_batch;
        self.set("model.global_batch", &global_batch.to_string())
    }

    pub fn label(mut self, label: &str) -> RowBuilder {
        self.row.label = label.into();
        self
    }

    /// The A/A twin of a cell.
    pub fn twin_of(mut self, original: &RepeatRow) -> RowBuilder {
        self.row.twin_of.clone_from(&original.key.cell);
        self.label(&format!("{} (twin)", original.label))
    }

    pub fn mark(mut self, mark: Mark) -> RowBuilder {
        self.row.marks.push(mark);
        self
    }

    /// Replicas on GPUs, with launches a step, the share of it in which the host is busy with them, and
    /// graphs replayed.
    pub fn on_gpus(mut self, launches: f64, host_share: f64, graphs: u64) -> RowBuilder {
        self.row.resolved.device_kind = "cuda".into();
        self.gpus = Gpus {
            launches_per_step: Some(launches),
            graph_launches: Some(graphs),
            host_bound_share: Some(host_share),
            memory_bytes: Some(1 << 30),
            name: "NVIDIA Test".into(),
            ..Gpus::default()
        };
        self
    }

    /// What a small kernel takes on their GPU.
    pub fn launch_floor(mut self, seconds: f64) -> RowBuilder {
        self.row.ceilings.gpu.launch_seconds = Some(seconds);
        self
    }

    pub fn rate(mut self, rate: f64) -> RowBuilder {
        self.rate = rate;
        self
    }

    /// Gives `phase` a share of the step; the other phases shrink in proportion.
    pub fn phase(mut self, phase: Phase, share: f64) -> RowBuilder {
        self.shares.iter_mut().for_each(|s| *s *= 1.0 - share);
        self.shares[phase as usize] += share;
        self
    }

    pub fn repeats(self, n: u32) -> Vec<RepeatRow> {
        (1..=n).map(|repeat| self.completed(repeat)).collect()
    }

    pub fn skipped(self, reason: &str, n: u32) -> Vec<RepeatRow> {
        let mut rows = self.repeats(n);
        for row in &mut rows {
            row.outcome = Outcome::Skipped;
            row.reason = reason.into();
            row.measured = None;
        }
        rows
    }

    fn completed(&self, repeat: u32) -> RepeatRow {
        let mut row = self.row.clone();
        row.key.cell = format!("{:?}{:?}", row.label, row.settings);
        row.key.repeat = repeat;
        row.block = repeat;
        let rate = self.rate * (1.0 + PATTERN[repeat as usize % PATTERN.len()]);
        row.measured = Some(self.measured(rate));
        row
    }

    fn measured(&self, rate: f64) -> Measured {
        let steps = 100;
        let step = self.row.resolved.global_batch as f64 / rate;
        Measured {
            steps,
            examples: steps * self.row.resolved.global_batch,
            elapsed_seconds: step * steps as f64,
            throughput_examples_per_second: rate,
            step_seconds_median: step,
            step_seconds_mean: step,
            phase_seconds: self.shares.map(|share| share * step),
            first_step_seconds: 2.0 * step,
            startup_seconds: 0.5,
            prefill_seconds: 0.25,
            gpus: Gpus {
                host_step_seconds: self.gpus.host_bound_share.map(|share| share * step),
                ..self.gpus.clone()
            },
            ..Measured::default()
        }
    }
}

/// The story of the CIFAR-10 scaling experiment.
pub fn cifar_story() -> Story {
    let axis = |name: &str, settings: &[&str], labels: &[&str]| AxisStory {
        name: name.into(),
        settings: settings.iter().map(|s| s.to_string()).collect(),
        labels: labels.iter().map(|s| s.to_string()).collect(),
    };
    Story {
        name: "cifar_scaling".into(),
        question: "Do more devices train CIFAR-10 faster?".into(),
        machine: "test-machine".into(),
        axes: vec![
            axis(
                "devices.per_worker",
                &["devices.per_worker"],
                &["1", "2", "4", "8"],
            ),
            axis(
                "input",
                &["input.source", "input.placement"],
                &["input on device", "input on host", "no input"],
            ),
        ],
        cases: vec!["pipeline only".into()],
        charts: Vec::new(),
        comparisons: Vec::new(),
    }
}

/// Throughput of the two arms of the three-report table at 1, 2, 4 and 8 replicas, prefill
/// included, with waiting and distortion as they follow from one device's own speed.
pub fn seed_rows(n: u32) -> Vec<RepeatRow> {
    let host = [
        (1, 6476.0, 0.10),
        (2, 7061.0, 0.54),
        (4, 7128.0, 0.77),
        (8, 7124.0, 0.88),
    ];
    let device = [
        (1, 1747.0, 0.78),
        (2, 3356.0, 0.79),
        (4, 4759.0, 0.85),
        (8, 5117.0, 0.91),
    ];
    let mut rows = RowBuilder::pipeline_only(7130.0).repeats(n);
    for (replicas, rate, wait) in host {
        let cell = RowBuilder::cifar10(replicas).rate(rate);
        rows.extend(cell.phase(Phase::InputWait, wait).repeats(n));
    }
    for (replicas, rate, distort) in device {
        let cell = RowBuilder::cifar10(replicas)
            .input("input on device")
            .rate(rate);
        rows.extend(cell.phase(Phase::Distort, distort).repeats(n));
    }
    rows
}
