//! In: values of two cells that share no blocks. Out: their ratio with an exact interval. What differs
//! between the times at which the two were measured stays in the ratio.

use super::{Tested, exact, is_positive, sorted};

/// The typical ratio of a value of `over` to one of `under`: the Hodges–Lehmann estimate (median of all
/// differences of logarithms) with interval and probability of the Mann–Whitney test from its exact
/// distribution (Hollander, Wolfe and Chicken, §4.1–4.3). Its `n` is that of the smaller side. None where
/// the sides are too small for 95 %, and where a value is not positive and finite.
pub fn unpaired_ratio(over: &[f64], under: &[f64]) -> Option<Tested> {
    if !over.iter().chain(under).all(is_positive) {
        return None;
    }
    let log = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
    let (over, under) = (log(over), log(under));
    let differences = over.iter().flat_map(|a| under.iter().map(move |b| a - b));
    let differences = sorted(&differences.collect::<Vec<_>>());
    let probabilities = mann_whitney_probabilities(over.len(), under.len());
    exact::ratio(&differences, &probabilities, over.len().min(under.len()))
}

/// The probability of each number of pairs, from 0 to `m * n`, in which a value of the first side is
/// the larger one, when all orders are equally likely: the largest of all values is of the first side
/// with probability m / (m + n), and is then larger than all n of the other.
fn mann_whitney_probabilities(m: usize, n: usize) -> Vec<f64> {
    // Of i values on the first side: one distribution for each number of values on the other.
    let mut row: Vec<Vec<f64>> = vec![vec![1.0]; n + 1];
    for i in 1..=m {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for j in 1..=n {
            let share = i as f64 / (i + j) as f64;
            let mut sums = vec![0.0; i * j + 1];
            for (count, probability) in row[j].iter().enumerate() {
                sums[count + j] += share * probability;
            }
            for (count, probability) in next[j - 1].iter().enumerate() {
                sums[count] += (1.0 - share) * probability;
            }
            next.push(sums);
        }
        row = next;
    }
    row.swap_remove(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{CONFIDENCE, exact::widest_trim};

    #[test]
    fn trims_are_those_of_the_mann_whitney_table() {
        // Critical values of U, two-sided 5 %.
        let table = [
            (4, 4, 0),
            (5, 5, 2),
            (6, 6, 5),
            (5, 8, 6),
            (10, 10, 23),
            (20, 20, 127),
        ];
        for (m, n, critical) in table {
            let trim = widest_trim(&mann_whitney_probabilities(m, n), CONFIDENCE);
            assert_eq!(trim.unwrap().0, critical, "{m} and {n}");
        }
        assert_eq!(
            widest_trim(&mann_whitney_probabilities(3, 3), CONFIDENCE),
            None
        );
    }

    #[test]
    fn two_values_and_one_have_three_orders() {
        for probability in mann_whitney_probabilities(2, 1) {
            assert!((probability - 1.0 / 3.0).abs() < 1e-15);
        }
        assert_eq!(mann_whitney_probabilities(0, 3), [1.0]);
    }

    #[test]
    fn fifteen_membranes_give_the_published_figures() {
        // Hollander and Wolfe, table 4.1: water permeability at term and earlier. The one-sided p is
        // 0.127, the estimate 0.305, the interval [-0.15, 0.76].
        let term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let early = [1.15, 0.88, 0.90, 0.74, 1.21];
        let tested = unpaired_ratio(&term.map(f64::exp), &early.map(f64::exp)).unwrap();
        assert!((tested.p - 2.0 * 0.127_206).abs() < 1e-5, "{}", tested.p);
        let estimate = tested.estimate;
        let logs = [estimate.low, estimate.median, estimate.high].map(f64::ln);
        for (log, published) in logs.into_iter().zip([-0.15, 0.305, 0.76]) {
            assert!((log - published).abs() < 1e-9, "{logs:?}");
        }
    }
}
