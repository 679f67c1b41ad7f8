//! Speedup and efficiency of one cell over another, with the uncertainty of both.

use crate::analysis::estimate::Estimate;
use crate::analysis::summary::CellSummary;

/// Throughput of a cell over that of its baseline, paired by block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speedup {
    /// Throughput over throughput, both over all replicas; the same under weak and strong scaling.
    pub ratio: Estimate,
    /// The ratio over that of replicas, or of their threads where a CPU's vary; 1 is ideal. None where two
    /// cells are of one size: what they differ in then has no ideal.
    pub efficiency: Option<Estimate>,
}

/// The speedup of `cell` over `base`; none where one was not completed or they share no block.
pub fn speedup(cell: &CellSummary, base: &CellSummary) -> Option<Speedup> {
    let (figures, base_figures) = (cell.figures.as_ref()?, base.figures.as_ref()?);
    let ratio = Estimate::ratio(
        &figures.throughput_by_block(),
        &base_figures.throughput_by_block(),
    )?;
    let efficiency = size_ratio(cell, base).map(|sizes| ratio.times(1.0 / sizes));
    Some(Speedup { ratio, efficiency })
}

/// How much larger `cell` is than `base`; none where they are two cells of one size.
pub fn size_ratio(cell: &CellSummary, base: &CellSummary) -> Option<f64> {
    let sizes = size(cell) / size(base);
    (sizes != 1.0 || cell.cell == base.cell).then_some(sizes)
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
        assert!((got.efficiency.unwrap().median - 0.75).abs() < 1e-9);
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
            got.efficiency
                .map(|efficiency| (100.0 * efficiency.median).round())
        };
        assert_eq!(efficiency("cpu"), Some(75.0));
        assert_eq!(efficiency("cuda"), None);
    }

    #[test]
    fn what_is_no_size_has_a_speedup_and_no_efficiency() {
        let of = |flavour, rate| {
            let rows = RowBuilder::cifar10(1).set("build.flavour", flavour);
            rows.rate(rate).repeats(6)
        };
        let summary = Summary::of(&[of("plain", 100.0), of("native", 158.0)].concat());
        let [plain, native] = [0, 1].map(|i| &summary.cells[i]);
        let got = speedup(native, plain).unwrap();
        assert!((got.ratio.median - 1.58).abs() < 1e-9);
        assert_eq!(got.efficiency, None);
        let own = speedup(plain, plain).unwrap().efficiency.unwrap();
        assert!((own.median - 1.0).abs() < 1e-9);
    }

    #[test]
    fn cells_without_a_common_block_have_no_speedup() {
        let mut rows = RowBuilder::cifar10(1).repeats(2);
        rows.extend(RowBuilder::cifar10(2).repeats(4).split_off(2));
        let summary = Summary::of(&rows);
        assert_eq!(speedup(&summary.cells[1], &summary.cells[0]), None);
    }
}
