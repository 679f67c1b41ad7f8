//! In: plain numbers. Out: medians, spreads, and intervals that hold without assuming a distribution.
//! Knows no rows, no units and no cells. Values are finite.

mod binomial;
mod bootstrap;
mod exact;
mod holm;
mod paired;
mod random;
mod steady;
mod student;
mod unpaired;

pub use bootstrap::{Block, Draws};
pub use holm::holm;
pub use paired::{InBlock, blocks, fewest_blocks, pair_by_block};
pub use steady::{Steady, steady};
pub use unpaired::unpaired_ratio;

/// The least probability with which an interval covers the true value.
pub const CONFIDENCE: f64 = 0.95;

/// Makes the MAD of normal values estimate their standard deviation: 1 / Φ⁻¹(3/4).
const MAD_TO_DEVIATION: f64 = 1.482_602_218_505_602;

/// A middle value with an interval that covers the true one with probability [`CONFIDENCE`] or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// How many independent values (or pairs of them) it rests on.
    pub n: usize,
    /// The exact probability of covering, since only some are possible for small `n`: 0.96875 for 6.
    pub coverage: f64,
}

/// Blocks from which a paired ratio is bootstrapped; the bootstrap of fewer covers too rarely.
pub const BOOTSTRAP_FROM: usize = 20;

/// A ratio, and how probable one so far from 1 is by chance where the true one is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tested {
    pub estimate: Estimate,
    /// At most 0.05 exactly where the interval leaves out 1.
    pub p: f64,
}

/// The typical ratio `over / under` of blocks: with the exact signed-rank interval, or from
/// [`BOOTSTRAP_FROM`] blocks up with that of a hierarchical bootstrap. None below 6 blocks, which cannot
/// decide at 95 %, and where a value is not positive and finite.
pub fn ratio_of_blocks(blocks: &[Block], draws: Draws) -> Option<Tested> {
    if !blocks.iter().all(Block::is_valid) {
        return None;
    }
    if blocks.len() >= BOOTSTRAP_FROM {
        return bootstrap::hierarchical(blocks, draws);
    }
    let logs: Vec<f64> = blocks.iter().map(Block::log_ratio).collect();
    paired::signed_rank(&logs)
}

/// The middle value, or the mean of the two middle ones. None of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Median distance from the median, scaled to the standard deviation of normal values. None of nothing.
pub fn mad(values: &[f64]) -> Option<f64> {
    let centre = median(values)?;
    let distances: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    Some(median(&distances)? * MAD_TO_DEVIATION)
}

/// The value below which a share `p` (0 to 1) of the values lies, linear between neighbours
/// (Hyndman and Fan, "Sample quantiles in statistical packages", 1996, type 7). None of nothing.
pub fn quantile(values: &[f64], p: f64) -> Option<f64> {
    let sorted = sorted(values);
    let last = sorted.len().checked_sub(1)?;
    let place = p.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(if below == above {
        below
    } else {
        below + (above - below) * place.fract()
    })
}

/// The median of independent values with its interval between two of them, by the order statistics
/// that the true median separates with exact binomial probability (David and Nagaraja, "Order
/// Statistics", 2003, §7.1). None below 6 values: even `[min, max]` then covers less than 95 %.
pub fn interval(values: &[f64]) -> Option<Estimate> {
    let n = values.len();
    let (left_out, coverage) = binomial::widest_trim(n, CONFIDENCE)?;
    let sorted = sorted(values);
    Some(Estimate {
        median: median(values)?,
        low: sorted[left_out],
        high: sorted[n - 1 - left_out],
        n,
        coverage,
    })
}

/// Whether a value has a logarithm.
fn is_positive(value: &f64) -> bool {
    value.is_finite() && *value > 0.0
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests;
