//! In: the exact distribution of a rank statistic under "no difference", and the sorted differences
//! that it counts. Out: the interval and the probability of chance, which agree with each other: one is
//! below 5 % where the other leaves out no difference. Knows not which statistic it is.

use super::{CONFIDENCE, Estimate, Tested, median};

/// The ratio that the logarithms `differences` (sorted, one for each step of the statistic) speak of.
/// None where even all of them cover less than [`CONFIDENCE`].
pub(super) fn ratio(differences: &[f64], probabilities: &[f64], n: usize) -> Option<Tested> {
    let (left_out, coverage) = widest_trim(probabilities, CONFIDENCE)?;
    let estimate = Estimate {
        median: median(differences)?.exp(),
        low: differences[left_out].exp(),
        high: differences[differences.len() - 1 - left_out].exp(),
        n,
        coverage,
    };
    let p = two_sided(differences, probabilities);
    Some(Tested { estimate, p })
}

/// The most differences that may be left out at each end, and the exact coverage then.
pub(super) fn widest_trim(probabilities: &[f64], confidence: f64) -> Option<(usize, f64)> {
    let mut below = 0.0;
    let mut found = None;
    for (left_out, probability) in probabilities.iter().enumerate() {
        below += probability;
        let coverage = 1.0 - 2.0 * below;
        if coverage < confidence {
            break;
        }
        found = Some((left_out, coverage));
    }
    found
}

/// The probability of a statistic as far from its middle, on either side, when there is no difference.
/// Differences of exactly zero count against an effect in both directions.
fn two_sided(differences: &[f64], probabilities: &[f64]) -> f64 {
    let not_above = differences.iter().filter(|value| **value <= 0.0).count();
    let not_below = differences.iter().filter(|value| **value >= 0.0).count();
    let statistic = not_above.min(not_below);
    let tail: f64 = probabilities[..=statistic].iter().sum();
    (2.0 * tail).min(1.0)
}
