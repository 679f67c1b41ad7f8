//! In: two cells' values of the same blocks. Out: the ratio of the cells with an exact interval.
//! Knows only ratios: what drifts with a block falls out of each pair.

use super::{CONFIDENCE, Estimate, median, sorted};

/// The pairs of values that share a block, in the order of `numerators`. A block that only one side
/// has is left out; where a side has several values of a block the last one counts.
pub fn pair_by_block(numerators: &[(u32, f64)], denominators: &[(u32, f64)]) -> Vec<(f64, f64)> {
    let last = |side: &[(u32, f64)], block| {
        side.iter()
            .rev()
            .find(|(other, _)| *other == block)
            .map(|(_, value)| *value)
    };
    let is_last = |i: usize, block| numerators[i + 1..].iter().all(|(other, _)| *other != block);
    numerators
        .iter()
        .enumerate()
        .filter(|(i, (block, _))| is_last(*i, *block))
        .filter_map(|(_, (block, value))| Some((*value, last(denominators, *block)?)))
        .collect()
}

/// The typical ratio `.0 / .1` of pairs: the Hodges–Lehmann estimate over the logarithms of the
/// ratios (median of their Walsh averages), with the interval of Wilcoxon's signed-rank test from its
/// exact distribution (Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", §3.2–3.3).
/// Assumes that log ratios scatter symmetrically. None below 6 pairs, which cannot decide at 95 %, and
/// where a value is not positive and finite.
pub fn paired_ratio(pairs: &[(f64, f64)]) -> Option<Estimate> {
    let valid = |value: f64| value.is_finite() && value > 0.0;
    if !pairs
        .iter()
        .all(|(over, under)| valid(*over) && valid(*under))
    {
        return None;
    }
    let logs: Vec<f64> = pairs
        .iter()
        .map(|(over, under)| over.ln() - under.ln())
        .collect();
    let (left_out, coverage) = signed_rank_trim(logs.len(), CONFIDENCE)?;
    let averages = sorted(&walsh_averages(&logs));
    Some(Estimate {
        median: median(&averages)?.exp(),
        low: averages[left_out].exp(),
        high: averages[averages.len() - 1 - left_out].exp(),
        n: logs.len(),
        coverage,
    })
}

/// Means of all pairs of values, each value with itself included: n(n+1)/2 of them.
fn walsh_averages(values: &[f64]) -> Vec<f64> {
    let from = |i: usize| {
        values[i..]
            .iter()
            .map(move |other| (values[i] + other) / 2.0)
    };
    (0..values.len()).flat_map(from).collect()
}

/// The most Walsh averages that may be left out at each end, and the exact coverage then.
fn signed_rank_trim(n: usize, confidence: f64) -> Option<(usize, f64)> {
    let mut below = 0.0;
    let mut found = None;
    for (left_out, probability) in signed_rank_probabilities(n).into_iter().enumerate() {
        below += probability;
        let coverage = 1.0 - 2.0 * below;
        if coverage < confidence {
            break;
        }
        found = Some((left_out, coverage));
    }
    found
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

    #[test]
    fn trims_are_those_of_the_signed_rank_table() {
        // Critical values of Wilcoxon's T, two-sided 5 %: 0 for 6 pairs, 3 for 8, 8 for 10, 52 for 20.
        for (pairs, critical) in [(6, 0), (7, 2), (8, 3), (10, 8), (20, 52)] {
            assert_eq!(
                signed_rank_trim(pairs, 0.95).unwrap().0,
                critical,
                "{pairs} pairs"
            );
        }
        assert!((0..6).all(|pairs| signed_rank_trim(pairs, 0.95).is_none()));
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
    fn blocks_pair_up_and_the_later_value_of_a_block_counts() {
        let over = [(1, 10.0), (2, 20.0), (2, 22.0), (4, 40.0)];
        let under = [(2, 2.0), (1, 1.0), (3, 3.0), (1, 5.0)];
        assert_eq!(pair_by_block(&over, &under), [(10.0, 5.0), (22.0, 2.0)]);
    }

    #[test]
    fn a_ratio_needs_positive_values() {
        let mut pairs = [(2.0, 1.0); 6];
        assert_eq!(paired_ratio(&pairs).unwrap().median, 2.0);
        pairs[3].1 = 0.0;
        assert_eq!(paired_ratio(&pairs), None);
    }
}
