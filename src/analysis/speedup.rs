//! Speedup and efficiency of one cell over another, with the uncertainty of both.

use crate::analysis::estimate::Estimate;
use crate::analysis::summary::CellSummary;

/// Throughput of a cell over that of its baseline, paired by block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speedup {
    /// Throughput over throughput, both over all replicas; the same under weak and strong scaling.
    pub ratio: Estimate,
    /// The ratio over that of replicas, or of their threads where a CPU's vary; 1 is ideal.
    pub efficiency: Estimate,
}

/// The speedup of `cell` over `base`; none where one was not completed or they share no block.
pub fn speedup(cell: &CellSummary, base: &CellSummary) -> Option<Speedup> {
    let (figures, base_figures) = (cell.figures.as_ref()?, base.figures.as_ref()?);
    let ratio = Estimate::ratio(
        &figures.throughput_by_block(),
        &base_figures.throughput_by_block(),
    )?;
    let efficiency = ratio.times(size(base) / size(cell));
    Some(Speedup { ratio, efficiency })
}

/// What a cell trains on, in devices of one size: a CPU device has as many cores as threads.
fn size(cell: &CellSummary) -> f64 {
    // Not the labels of an axis, which may be any text.
    let setting = |key| cell.settings.get(key).map(String::as_str);
    let on_cpu = setting("devices.kind") == Some("cpu");
    let threads = setting("devices.threads").filter(|_| on_cpu);
    let threads = threads.and_then(|threads| threads.parse().ok());
    f64::from(cell.replicas) * threads.unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Summary;
    use crate::analysis::sample_rows::RowBuilder;

    #[test]
    fn drift_that_hits_both_sides_of_a_block_cancels() {
        let mut rows = RowBuilder::cifar10(1).rate(100.0).repeats(6);
        rows.extend(RowBuilder::cifar10(2).rate(150.0).repeats(6));
        let summary = Summary::of(&rows);
        let got = speedup(&summary.cells[1], &summary.cells[0]).unwrap();
        assert!((got.ratio.median - 1.5).abs() < 1e-9);
        assert!(got.ratio.high.unwrap() - got.ratio.low.unwrap() < 1e-9);
        assert!((got.efficiency.median - 0.75).abs() < 1e-9);
    }

    #[test]
    fn twice_the_threads_of_a_cpu_are_twice_the_size() {
        let efficiency = |kind| {
            let of = |threads, rate| {
                let rows = RowBuilder::cifar10(1).set("devices.kind", kind);
                rows.set("devices.threads", threads).rate(rate).repeats(6)
            };
            let mut rows = of("1", 100.0);
            rows.extend(of("2", 150.0));
            let summary = Summary::of(&rows);
            let got = speedup(&summary.cells[1], &summary.cells[0]).unwrap();
            got.efficiency.median
        };
        assert!((efficiency("cpu") - 0.75).abs() < 1e-9);
        assert!((efficiency("gpu") - 1.5).abs() < 1e-9);
    }

    #[test]
    fn cells_without_a_common_block_have_no_speedup() {
        let mut rows = RowBuilder::cifar10(1).repeats(2);
        rows.extend(RowBuilder::cifar10(2).repeats(4).split_off(2));
        let summary = Summary::of(&rows);
        assert_eq!(speedup(&summary.cells[1], &summary.cells[0]), None);
    }
}
