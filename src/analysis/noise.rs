//! What no difference looks like. In: a [`Summary`] in which a cell was measured under two names in
//! each block. Out: the [`Floor`] below which differences are not told from noise.

use crate::analysis::estimate::Estimate;
use crate::analysis::summary::{CellSummary, Summary};
use crate::table::Measured;
use std::fmt;

/// The noise floor of one figure on one machine in one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor<'a> {
    /// The cell that has a twin.
    pub original: &'a CellSummary,
    /// The twin's figure over the original's, paired by block. It would be 1 without noise.
    pub ratio: Estimate,
    /// The larger distance from 1 of the ends of the ratio's interval; of the ratio itself where its
    /// blocks are too few for an interval. Ratios nearer to 1 are not told from noise.
    pub half_width: f64,
}

/// The floor of throughput.
pub fn floor(summary: &Summary) -> Option<Floor<'_>> {
    floor_of(summary, |m| m.throughput_examples_per_second)
}

/// The floor of any figure of a repeat; none without a twin that shares a completed block with its
/// original.
pub fn floor_of(summary: &Summary, figure: impl Fn(&Measured) -> f64) -> Option<Floor<'_>> {
    let twin = summary.cells.iter().find(|cell| cell.twin_of.is_some())?;
    let id = twin.twin_of.as_ref()?;
    let original = summary.cells.iter().find(|cell| cell.cell == *id)?;
    let by_block = |cell: &CellSummary| Some(cell.figures.as_ref()?.by_block(&figure));
    let ratio = Estimate::ratio(&by_block(twin)?, &by_block(original)?)?;
    let ends = [
        ratio.low.unwrap_or(ratio.median),
        ratio.high.unwrap_or(ratio.median),
    ];
    let half_width = ends.map(|end| (end - 1.0).abs()).into_iter();
    Some(Floor {
        original,
        ratio,
        half_width: half_width.fold(0.0, f64::max),
    })
}

impl Floor<'_> {
    /// `± 1.9 %`.
    pub fn percent(&self) -> String {
        format!("± {:.1} %", 100.0 * self.half_width)
    }
}

impl fmt::Display for Floor<'_> {
    /// ``noise floor ± 1.9 %: A/A twin of `mlp` 1.004 x [0.990, 1.019], n = 6``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, ratio) = (&self.original.label, &self.ratio);
        let (percent, n) = (self.percent(), ratio.n);
        let twin = format!("A/A twin of `{label}` {:.3} x", ratio.median);
        match (ratio.low, ratio.high) {
            (Some(low), Some(high)) => {
                write!(
                    f,
                    "noise floor {percent}: {twin} [{low:.3}, {high:.3}], n = {n}"
                )
            }
            _ => write!(
                f,
                "noise floor {percent} so far: {twin}, n = {n} (too few for an interval)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::arrange;
    use crate::analysis::companions::Companions;
    use crate::analysis::sample_rows::{RowBuilder, cifar_story};
    use crate::table::RepeatRow;

    /// A cell, its twin that is faster by the ratio of each block, and a faster cell.
    fn rows(ratios: &[f64]) -> Vec<RepeatRow> {
        let n = ratios.len() as u32;
        let mut rows = RowBuilder::cifar10(1).rate(1000.0).repeats(n);
        let mut twin = RowBuilder::cifar10(1).twin_of(&rows[0]).repeats(n);
        for (row, ratio) in twin.iter_mut().zip(ratios) {
            let measured = row.measured.as_mut().unwrap();
            measured.throughput_examples_per_second *= ratio;
        }
        rows.extend(twin);
        rows.extend(RowBuilder::cifar10(2).rate(1500.0).repeats(n));
        rows
    }

    #[test]
    fn the_floor_is_the_farther_end_of_the_twins_interval() {
        let summary = Summary::of(&rows(&[1.01, 0.97, 1.0, 1.02, 1.0, 0.99]));
        let floor = floor(&summary).unwrap();
        assert!((floor.half_width - 0.03).abs() < 1e-9, "{floor:?}");
        insta::assert_snapshot!(floor, @"noise floor ± 3.0 %: A/A twin of `1 device, input on host` 1.000 x [0.970, 1.020], n = 6");
    }

    #[test]
    fn with_few_blocks_it_is_the_medians_distance_and_says_so() {
        let summary = Summary::of(&rows(&[1.01, 1.02, 1.05]));
        let floor = floor(&summary).unwrap();
        insta::assert_snapshot!(floor, @"noise floor ± 2.0 % so far: A/A twin of `1 device, input on host` 1.020 x, n = 3 (too few for an interval)");
    }

    #[test]
    fn without_a_twin_that_completed_there_is_none() {
        let mut rows = rows(&[1.0, 1.0]);
        for row in rows.iter_mut().filter(|row| !row.twin_of.is_empty()) {
            row.outcome = crate::terms::Outcome::Failed;
        }
        assert_eq!(floor(&Summary::of(&rows)), None);
        rows.retain(|row| row.twin_of.is_empty());
        assert_eq!(floor(&Summary::of(&rows)), None);
    }

    #[test]
    fn a_twin_is_no_point_no_baseline_and_nobodys_companion() {
        // So much faster that every choice of a best cell would be the twin.
        let summary = Summary::of(&rows(&[9.0; 6]));
        let story = cifar_story();
        let view = arrange(&summary, &story, &story.leading_chart()).unwrap();
        let cells = |of: &mut dyn Iterator<Item = &CellSummary>| {
            of.map(|cell| cell.label.clone()).collect::<Vec<_>>()
        };
        let points = view.series.iter().flat_map(|series| &series.points);
        let drawn = cells(&mut points.map(|point| point.cell));
        assert_eq!(
            drawn,
            ["1 device, input on host", "2 devices, input on host"]
        );
        let bases = cells(&mut view.series.iter().filter_map(|series| series.baseline));
        assert_eq!(bases, ["1 device, input on host"]);
        let fastest = Companions(&summary).fastest().unwrap();
        assert_eq!(fastest.label, "2 devices, input on host");
        let listed = cells(&mut view.cells().into_iter());
        assert_eq!(listed[2], "1 device, input on host (twin)");
    }
}
