//! In: the summary of a cell whose processes train together. Out: estimates of its steps, alone and
//! against one process, and of what crosses between processes. Sentences, tables and charts share them.

use crate::analysis::companions::Companions;
use crate::analysis::estimate::Estimate;
use crate::analysis::summary::{CellSummary, Figures, Repeat};
use crate::stats::InBlock;
use crate::table::Measured;

/// Whether gradients or parameters of the cell cross between processes.
pub fn is_cluster(cell: &CellSummary) -> bool {
    let topology = cell.settings.get("cluster.topology");
    matches!(
        topology.map(String::as_str),
        Some("parameter-server" | "all-reduce")
    )
}

/// A setting of the cell that is a number; none where it does not apply.
fn number(cell: &CellSummary, key: &str) -> Option<u32> {
    cell.settings.get(key)?.parse().ok()
}

fn workers(cell: &CellSummary) -> f64 {
    f64::from(number(cell, "cluster.workers").unwrap_or(1))
}

pub fn servers(cell: &CellSummary) -> u32 {
    number(cell, "cluster.servers").unwrap_or(0)
}

/// Examples in a step of one worker.
fn batch(cell: &CellSummary) -> f64 {
    cell.global_batch as f64 / workers(cell)
}

/// Steps a second of all workers together, each of its own batch.
pub fn steps_per_second(cell: &CellSummary, measured: &Measured) -> f64 {
    match measured.cluster.steps_per_second {
        0.0 => measured.steps as f64 * workers(cell) / measured.elapsed_seconds,
        steps => steps,
    }
}

/// Steps a second of one worker: the mean over workers.
pub fn steps_per_second_per_worker(cell: &CellSummary, measured: &Measured) -> f64 {
    match measured.cluster.steps_per_second_per_worker {
        0.0 => steps_per_second(cell, measured) / workers(cell),
        steps => steps,
    }
}

/// How many times the steps of one process a cell makes, in steps of the same size, paired by block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgainstSingle<'a> {
    pub single: &'a CellSummary,
    pub all: Estimate,
    pub per_worker: Estimate,
    /// What one process would make of the cell's own batch, in steps per second.
    pub single_steps_per_second: Estimate,
}

/// Compares a cell with the same training by one process; none where that was not measured, or not in
/// the same blocks.
pub fn against_single<'a>(
    companions: &Companions<'a>,
    cell: &CellSummary,
) -> Option<AgainstSingle<'a>> {
    let single = companions.single(cell)?;
    let (figures, alone) = (cell.figures.as_ref()?, single.figures.as_ref()?);
    let work = batch(cell) / batch(single);
    let below = alone.by_block(|m| steps_per_second(single, m));
    let ratio = |above: Vec<InBlock>| Some(Estimate::ratio(&above, &below)?.times(work));
    Some(AgainstSingle {
        single,
        all: ratio(figures.by_block(|m| steps_per_second(cell, m)))?,
        per_worker: ratio(figures.by_block(|m| steps_per_second_per_worker(cell, m)))?,
        single_steps_per_second: alone
            .estimate(|m| steps_per_second(single, m))
            .times(1.0 / work),
    })
}

/// What crosses between the processes of a cell, and what its servers do. Each is none where no repeat
/// says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exchange {
    /// In a step of one worker, both ways.
    pub bytes_per_step: Option<Estimate>,
    /// GB/s of a link while bytes move.
    pub rate: Option<Estimate>,
    /// What the same transport reaches with the same tensors and nothing else to do, in GB/s.
    pub ceiling: Option<Estimate>,
    /// The rate over its ceiling.
    pub share: Option<Estimate>,
    /// Seconds of an update on the busiest server.
    pub update_seconds: Option<Estimate>,
    /// Share of the time that the busiest server moves bytes or updates.
    pub server_busy: Option<Estimate>,
    /// Share of the time that it updates.
    pub server_updates: Option<Estimate>,
    /// Share of the parameters on the most loaded server.
    pub most_loaded: Option<Estimate>,
    /// Updates between pull and push of a gradient, by others.
    pub staleness: Option<Estimate>,
}

impl Exchange {
    /// None for a cell without processes that exchange, or without figures.
    pub fn of(cell: &CellSummary) -> Option<Exchange> {
        let figures = cell.figures.as_ref().filter(|_| is_cluster(cell))?;
        Some(Exchange {
            bytes_per_step: figures.optional(bytes_per_step),
            rate: figures.optional(rate),
            ceiling: figures.optional(|repeat| repeat.ceilings.exchange),
            share: figures.optional(|repeat| repeat.ceilings.share),
            update_seconds: of_cluster(figures, |m| m.cluster.server_apply_seconds),
            server_busy: of_cluster(figures, |m| m.cluster.server_busy_share),
            server_updates: of_cluster(figures, server_updates),
            most_loaded: of_cluster(figures, |m| m.cluster.server_share),
            staleness: of_cluster(figures, |m| m.cluster.staleness_mean),
        })
    }
}

/// GB/s of a link of one repeat, while bytes moved.
pub fn rate(repeat: &Repeat) -> Option<f64> {
    repeat.measured.cluster.exchange_gigabytes_per_second
}

fn of_cluster(figures: &Figures, figure: impl Fn(&Measured) -> Option<f64>) -> Option<Estimate> {
    figures.optional(|repeat| figure(&repeat.measured))
}

fn bytes_per_step(repeat: &Repeat) -> Option<f64> {
    let cluster = &repeat.measured.cluster;
    let bytes = cluster.pulled_bytes + cluster.pushed_bytes;
    let steps = cluster.steps_per_second * repeat.measured.elapsed_seconds;
    (bytes > 0 && steps > 0.0).then(|| bytes as f64 / steps)
}

/// The share of the time that the busiest server updates: what an update takes, times how many there are
/// in a second. Updates to steps are in measured steps as they are in all.
fn server_updates(measured: &Measured) -> Option<f64> {
    let cluster = &measured.cluster;
    let updates_per_step = cluster.global_steps as f64 / cluster.total_steps.max(1) as f64;
    let updates_per_second = cluster.steps_per_second * updates_per_step;
    Some((cluster.server_apply_seconds? * updates_per_second).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Summary;
    use crate::analysis::sample_cluster::ClusterBuilder;

    #[test]
    fn a_step_of_a_worker_is_compared_with_as_much_work_of_one_process() {
        let mut rows = ClusterBuilder::single(150.0).repeats(6);
        rows.extend(ClusterBuilder::seed(4).repeats(6));
        let summary = Summary::of(&rows);
        let find = Companions(&summary);
        let against = against_single(&find, &summary.cells[1]).unwrap();
        assert!((against.all.median - 5.72 / 150.0).abs() < 1e-9);
        assert!((against.per_worker.median - 1.43 / 150.0).abs() < 1e-9);
        assert_eq!(against.all.n, 6);
        assert_eq!(against_single(&find, &summary.cells[0]), None);
    }

    #[test]
    fn a_smaller_local_batch_of_strong_scaling_counts_as_less_work() {
        let mut rows = ClusterBuilder::single(150.0).row.strong(128).repeats(6);
        let halves = ClusterBuilder::seed(2).row.strong(128);
        rows.extend(halves.rate(128.0 * 150.0).repeats(6));
        let summary = Summary::of(&rows);
        let against = against_single(&Companions(&summary), &summary.cells[1]).unwrap();
        assert!((against.all.median - 1.0).abs() < 1e-9, "{against:?}");
        assert!((against.single_steps_per_second.median / 300.0 - 1.0).abs() < 0.01);
    }

    #[test]
    fn bytes_are_those_of_one_worker_and_a_cell_of_one_process_has_none() {
        let mut rows = ClusterBuilder::single(150.0).repeats(2);
        rows.extend(ClusterBuilder::seed(4).repeats(2));
        let summary = Summary::of(&rows);
        assert_eq!(Exchange::of(&summary.cells[0]), None);
        let exchange = Exchange::of(&summary.cells[1]).unwrap();
        let bytes = exchange.bytes_per_step.unwrap().median;
        assert!((bytes - 151_062_528.0).abs() < 1.0, "{bytes}");
        // 5.72 updates a second of 51 ms each.
        let updating = exchange.server_updates.unwrap().median;
        assert!((updating - 0.292).abs() < 0.003, "{updating}");
    }
}
