//! Hand-made rows for tests: an MLP of 75.5 MB trained by one process, by a parameter server's workers
//! or by an all-reduce.

use crate::analysis::sample_rows::RowBuilder;
use crate::analysis::{AxisStory, Story};
use crate::table::{Ceilings, Cluster, RepeatRow};
use crate::terms::Phase;

/// One way, over all parameters.
const BYTES: u64 = 75_531_264;
const BATCH: u32 = 128;

/// Builds all rows of one cell.
#[derive(Clone)]
pub struct ClusterBuilder {
    pub row: RowBuilder,
    pub workers: u32,
    pub cluster: Cluster,
    pub ceilings: Ceilings,
}

impl ClusterBuilder {
    /// One process that makes `steps` a second.
    pub fn single(steps: f64) -> ClusterBuilder {
        let arm = ClusterBuilder::arm("single", 1, steps);
        ClusterBuilder {
            cluster: Cluster::default(),
            ..arm.set("cluster.topology", "single")
        }
    }

    /// One asynchronous parameter server over gRPC, as slow as it was reported.
    pub fn seed(workers: u32) -> ClusterBuilder {
        let each = if workers == 1 { 2.2 } else { 1.43 };
        let arm = ClusterBuilder::arm("async", workers, each)
            .set("cluster.topology", "parameter-server")
            .set("cluster.workers", &workers.to_string())
            .set("cluster.servers", "1")
            .rate(0.332, 18.0)
            .server(0.93, 0.051)
            .staleness(f64::from(workers - 1));
        // One after the other: 40 % push, 49 % pull, 9 % wait.
        let arm = arm.phase(Phase::Push, 0.95).phase(Phase::Pull, 0.538);
        arm.phase(Phase::Wait, 0.09)
    }

    /// A ring of workers that reach `steps` a second each.
    pub fn ring(workers: u32, steps: f64) -> ClusterBuilder {
        let mut arm = ClusterBuilder::arm("all-reduce", workers, steps)
            .set("cluster.topology", "all-reduce")
            .set("cluster.workers", &workers.to_string())
            .rate(4.0, 5.0);
        arm.cluster.global_steps /= u64::from(workers);
        arm
    }

    fn arm(name: &str, workers: u32, steps: f64) -> ClusterBuilder {
        let counted = if workers == 1 { "worker" } else { "workers" };
        let row = RowBuilder::cifar10(workers)
            .input("no input")
            .axis("topology", name)
            .label(&format!("{name}, {workers} {counted}"))
            .set("devices.per_worker", "1")
            .set("model.name", "mlp")
            .set("input.source", "normal")
            .rate(steps * f64::from(workers * BATCH));
        let all = 110 * u64::from(workers);
        ClusterBuilder {
            row,
            workers,
            cluster: Cluster {
                steps_per_second: steps * f64::from(workers),
                steps_per_second_per_worker: steps,
                total_steps: all,
                global_steps: all,
                pulled_bytes: 100 * u64::from(workers) * BYTES,
                pushed_bytes: 100 * u64::from(workers) * BYTES,
                ..Cluster::default()
            },
            ceilings: Ceilings::default(),
        }
    }

    pub fn set(self, key: &str, value: &str) -> ClusterBuilder {
        let row = self.row.set(key, value);
        ClusterBuilder { row, ..self }
    }

    pub fn phase(self, phase: Phase, share: f64) -> ClusterBuilder {
        let row = self.row.phase(phase, share);
        ClusterBuilder { row, ..self }
    }

    /// Another arm of the axis, with its label.
    pub fn named(self, name: &str) -> ClusterBuilder {
        let label = format!("{name}, {} workers", self.workers);
        let row = self.row.axis("topology", name).label(&label);
        ClusterBuilder { row, ..self }
    }

    /// GB/s of a link, and its ceiling.
    pub fn rate(mut self, achieved: f64, ceiling: f64) -> ClusterBuilder {
        self.cluster.exchange_gigabytes_per_second = Some(achieved);
        self.ceilings.exchange = Some(ceiling);
        self
    }

    /// The busy share of the server, and the seconds of its update.
    pub fn server(mut self, busy: f64, update_seconds: f64) -> ClusterBuilder {
        self.cluster.server_busy_share = Some(busy);
        self.cluster.server_apply_seconds = Some(update_seconds);
        self.cluster.server_share = Some(1.0);
        self
    }

    pub fn staleness(mut self, mean: f64) -> ClusterBuilder {
        self.cluster.staleness_mean = Some(mean);
        self
    }

    /// All rows. What is a rate differs between repeats as the throughput does.
    pub fn repeats(self, n: u32) -> Vec<RepeatRow> {
        let mut rows = self.row.repeats(n);
        for row in &mut rows {
            let batches = f64::from(self.workers * BATCH);
            let Some(measured) = &mut row.measured else {
                continue;
            };
            let base = self.cluster.steps_per_second_per_worker * batches;
            let factor = measured.throughput_examples_per_second / base.max(1e-9);
            measured.cluster = self.cluster.clone();
            if base == 0.0 {
                continue;
            }
            let cluster = &mut measured.cluster;
            cluster.steps_per_second *= factor;
            cluster.steps_per_second_per_worker *= factor;
            let achieved = &mut cluster.exchange_gigabytes_per_second;
            *achieved = achieved.map(|rate| rate * factor);
            row.ceilings = self.ceilings;
            let ratio = |rate: f64| self.ceilings.exchange.map(|ceiling| rate / ceiling);
            row.ceilings.share = achieved.and_then(ratio);
        }
        rows
    }
}

/// The story of an experiment that compares topologies.
pub fn cluster_story() -> Story {
    let axis = |name: &str, settings: &[&str], labels: &[&str]| AxisStory {
        name: name.into(),
        settings: settings.iter().map(|s| s.to_string()).collect(),
        labels: labels.iter().map(|s| s.to_string()).collect(),
    };
    Story {
        name: "local_cluster".into(),
        question: "Why do workers of one server train slower than one process?".into(),
        machine: "test-machine".into(),
        axes: vec![
            axis("cluster.workers", &["cluster.workers"], &["1", "2", "4"]),
            axis(
                "topology",
                &["cluster.topology", "cluster.update"],
                &["single", "async", "sync", "all-reduce"],
            ),
        ],
        cases: Vec::new(),
        charts: Vec::new(),
        comparisons: Vec::new(),
    }
}
