//! In: plain numbers. Out: medians and their intervals. Knows no rows.

use std::collections::BTreeMap;

/// A median with its 95 % interval by order statistics; no interval for fewer than six values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub median: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub n: usize,
}

/// The median of `values`; none when there are none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The median of `values` with the narrowest symmetric order-statistics interval of at least 95 %.
pub fn estimate(values: &[f64]) -> Estimate {
    let n = values.len();
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (0..n / 2)
        .rev()
        .find(|rank| coverage(n, *rank) >= 0.95)
        .filter(|_| n >= 6);
    Estimate {
        median: median(values).unwrap_or(f64::NAN),
        low: rank.map(|rank| sorted[rank]),
        high: rank.map(|rank| sorted[n - 1 - rank]),
        n,
    }
}

/// The ratio of `a` to `b` over the blocks that both have.
pub fn paired_ratio(a: &BTreeMap<u32, f64>, b: &BTreeMap<u32, f64>) -> Estimate {
    let ratios: Vec<f64> = a
        .iter()
        .filter_map(|(block, value)| b.get(block).map(|other| value / other))
        .collect();
    estimate(&ratios)
}

/// Probability that the median lies between the values of `rank` from below and from above.
fn coverage(n: usize, rank: usize) -> f64 {
    let mut term = 0.5f64.powi(n as i32);
    let mut tail = 0.0;
    for k in 0..=rank {
        tail += term;
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    1.0 - 2.0 * tail
}
