//! In: two cells' values of the same blocks. Out: the ratio of the cells with an exact interval.
//! Knows only ratios: what drifts with a block falls out of each pair.

use super::{Block, CONFIDENCE, Tested, exact, sorted};

/// What one process measured, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InBlock {
    pub block: u32,
    /// Which build of its program.
    pub build: u32,
    pub value: f64,
}

/// The blocks that both sides have, in the order of `over`. Where a side has several values of a block
/// the last one counts; where those are of different builds the block says nothing and is left out.
pub fn blocks(over: &[InBlock], under: &[InBlock]) -> Vec<Block> {
    let last = |side: &[InBlock], block| side.iter().rev().find(|one| one.block == block).copied();
    let is_last = |i: usize, block| over[i + 1..].iter().all(|other| other.block != block);
    let pair = |over: &InBlock| {
        let under = last(under, over.block)?;
        (over.build == under.build).then(|| Block {
            build: over.build,
            over: vec![over.value],
            under: vec![under.value],
        })
    };
    let counted = over.iter().enumerate();
    let counted = counted.filter(|(i, one)| is_last(*i, one.block));
    counted.filter_map(|(_, one)| pair(one)).collect()
}

/// The two values of each of the [`blocks`].
pub fn pair_by_block(over: &[InBlock], under: &[InBlock]) -> Vec<(f64, f64)> {
    let blocks = blocks(over, under).into_iter();
    blocks
        .map(|block| (block.over[0], block.under[0]))
        .collect()
}

/// The typical ratio of pairs from the logarithm of each: the Hodges–Lehmann estimate (median of the
/// Walsh averages) with interval and probability of Wilcoxon's signed-rank test from its exact
/// distribution (Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", §3.1–3.3).
/// Assumes that log ratios scatter symmetrically. None below 6 pairs, which cannot decide at 95 %.
pub(super) fn signed_rank(log_ratios: &[f64]) -> Option<Tested> {
    let n = log_ratios.len();
    exact::ratio(
        &sorted(&walsh_averages(log_ratios)),
        &signed_rank_probabilities(n),
        n,
    )
}

/// The fewest blocks with which one of `comparisons` can be decided: with fewer, not even pairs that
/// all agree stand out of so many.
pub fn fewest_blocks(comparisons: usize) -> usize {
    let allowed = (1.0 - CONFIDENCE) / comparisons.max(1) as f64;
    let least = |n: &usize| 2.0 * 0.5f64.powi(*n as i32);
    let enough = (1..1000).find(|n| least(n) <= allowed);
    enough.expect("one half to the power of 1000 is below any share of a family")
}

/// Means of all pairs of values, each value with itself included: n(n+1)/2 of them.
pub(super) fn walsh_averages(values: &[f64]) -> Vec<f64> {
    let mut averages = Vec::new();
    fill_walsh_averages(values, &mut averages);
    averages
}

/// The same into memory that is used again.
pub(super) fn fill_walsh_averages(values: &[f64], averages: &mut Vec<f64>) {
    averages.clear();
    for (i, value) in values.iter().enumerate() {
        averages.extend(values[i..].iter().map(|other| (value + other) / 2.0));
    }
}

/// The probability of each sum of positive ranks from 0 to n(n+1)/2, when signs are fair coins.
fn signed_rank_probabilities(n: usize) -> Vec<f64> {
    let mut probabilities = vec![0.0; n * (n + 1) / 2 + 1];
    probabilities[0] = 1.0;
    for rank in 1..=n {
        for sum in (0..probabilities.len()).rev() {
            let without = probabilities[sum];
            let with = if sum >= rank {
                probabilities[sum - rank]
            } else {
                0.0
            };
            probabilities[sum] = (without + with) / 2.0;
        }
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::exact::widest_trim;

    fn trim(pairs: usize) -> Option<(usize, f64)> {
        widest_trim(&signed_rank_probabilities(pairs), CONFIDENCE)
    }

    #[test]
    fn trims_are_those_of_the_signed_rank_table() {
        // Critical values of Wilcoxon's T, two-sided 5 %: 0 for 6 pairs, 3 for 8, 8 for 10, 52 for 20.
        for (pairs, critical) in [(6, 0), (7, 2), (8, 3), (10, 8), (20, 52)] {
            assert_eq!(trim(pairs).unwrap().0, critical, "{pairs} pairs");
        }
        assert!((0..6).all(|pairs| trim(pairs).is_none()));
    }

    #[test]
    fn probabilities_of_three_ranks_are_those_of_eight_coins() {
        let eighths: Vec<f64> = signed_rank_probabilities(3)
            .iter()
            .map(|p| p * 8.0)
            .collect();
        assert_eq!(eighths, [1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    #[expect(clippy::approx_constant, reason = "a score of 3.14 is no π")]
    fn nine_patients_under_a_tranquilliser_give_the_published_figures() {
        // Hollander and Wolfe, table 3.1: scores before and after; p, estimate and interval of
        // examples 3.1, 3.3 and 3.5.
        let before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        let after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
        let differences: Vec<f64> = before.iter().zip(after).map(|(a, b)| a - b).collect();
        let tested = signed_rank(&differences).unwrap();
        assert!((tested.p - 0.0390625).abs() < 1e-12, "{}", tested.p);
        let logs = [
            tested.estimate.low.ln(),
            tested.estimate.median.ln(),
            tested.estimate.high.ln(),
        ];
        for (log, published) in logs.into_iter().zip([0.010, 0.460, 0.786]) {
            assert!((log - published).abs() < 1e-9, "{logs:?}");
        }
    }

    #[test]
    fn a_family_needs_more_blocks_than_one_comparison() {
        // 2 / 2^6 = 0.031 is enough for one, 2 / 2^8 = 0.0078 for six, 2 / 2^9 for twelve.
        let needed = [0, 1, 2, 3, 6, 7, 12, 13].map(fewest_blocks);
        assert_eq!(needed, [6, 6, 7, 7, 8, 9, 9, 10]);
    }

    /// Values by block, all of one build.
    fn side(values: &[(u32, f64)]) -> Vec<InBlock> {
        let of = |(block, value): &(u32, f64)| InBlock {
            block: *block,
            build: 1,
            value: *value,
        };
        values.iter().map(of).collect()
    }

    #[test]
    fn blocks_pair_up_and_the_later_value_of_a_block_counts() {
        let over = side(&[(1, 10.0), (2, 20.0), (2, 22.0), (4, 40.0)]);
        let under = side(&[(2, 2.0), (1, 1.0), (3, 3.0), (1, 5.0)]);
        assert_eq!(pair_by_block(&over, &under), [(10.0, 5.0), (22.0, 2.0)]);
    }

    #[test]
    fn a_block_is_of_one_build() {
        let mut over = side(&[(1, 10.0), (2, 20.0)]);
        let mut under = side(&[(1, 1.0), (2, 2.0)]);
        (over[1].build, under[1].build) = (2, 2);
        let builds: Vec<u32> = blocks(&over, &under).iter().map(|b| b.build).collect();
        assert_eq!(builds, [1, 2]);
        under[1].build = 1;
        assert_eq!(pair_by_block(&over, &under), [(10.0, 1.0)]);
    }
}
