//! In: what two cells measured, block by block, and how much noise hides. Out: whether one is faster, with
//! ratio, interval and n, and with the reason where nothing can be said. Pure; knows neither files nor cells.
//!
//! Comparisons that are read together are decided together: [`decide`] takes the whole family.

use crate::analysis::estimate::Estimate;
use crate::stats::{self, Block, Draws, InBlock, Tested};
use std::fmt;

/// A ratio this near to 1 matters to nobody, even where it is certain.
const LEAST_MARGIN: f64 = 0.02;
/// The probability of calling any of a family different that is not.
const ALLOWED: f64 = 1.0 - stats::CONFIDENCE;
/// Fewer blocks, or repeats on a side, decide nothing.
const LEAST_REPEATS: usize = 6;

/// What two cells measured says of their ratio: of rates, so that above 1 is faster.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// With an interval where there are repeats enough.
    pub ratio: Estimate,
    pub repeats: Repeats,
    /// How probable a ratio so far from 1 is where the true one is 1; none without an interval.
    p: Option<f64>,
}

/// What a ratio rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// Blocks in which both cells were measured: drift falls out.
    Blocks(usize),
    /// Repeats of each cell, measured at different times: what changed between them is in the ratio.
    Apart(usize, usize),
}

/// The answer of one comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Faster,
    Slower,
    /// The whole interval lies within the margin.
    Equivalent,
    Undecided(Doubt),
}

/// Why nothing is decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doubt {
    /// Not even repeats that all agree would be enough.
    TooFew {
        repeats: Repeats,
        /// Size of the family that is decided together.
        comparisons: usize,
        /// Blocks that would be enough.
        needed: usize,
    },
    /// The interval holds 1, and more than the margin.
    Interval,
    /// Certain by itself; among so many comparisons, one like it is expected by chance.
    Family { comparisons: usize },
    /// Certain, and smaller than what two equal cells differ by.
    Noise { floor: f64 },
}

impl Comparison {
    /// Of two cells in the same session. A block counts where both have it.
    /// None where they share no block, or a rate is not positive.
    pub fn by_block(over: &[InBlock], under: &[InBlock]) -> Option<Comparison> {
        Comparison::of_blocks(&stats::blocks(over, under), Draws::default())
    }

    /// The same with the windows of each process, where they are known.
    pub fn of_blocks(blocks: &[Block], draws: Draws) -> Option<Comparison> {
        let repeats = Repeats::Blocks(blocks.len());
        let middle = |values: &[f64]| stats::median(values).filter(|value| *value > 0.0);
        let ratio = |block: &Block| Some(middle(&block.over)? / middle(&block.under)?);
        let ratios = blocks.iter().map(ratio).collect::<Option<Vec<_>>>()?;
        Comparison::new(
            stats::ratio_of_blocks(blocks, draws),
            stats::median(&ratios)?,
            repeats,
        )
    }

    /// Of two cells that were measured at different times, by the rates of their repeats.
    /// None where one has none, or a rate is not positive.
    pub fn apart(over: &[f64], under: &[f64]) -> Option<Comparison> {
        let middle = |values: &[f64]| stats::median(values).filter(|value| *value > 0.0);
        Comparison::new(
            stats::unpaired_ratio(over, under),
            middle(over)? / middle(under)?,
            Repeats::Apart(over.len(), under.len()),
        )
    }

    fn new(tested: Option<Tested>, middle: f64, repeats: Repeats) -> Option<Comparison> {
        let n = repeats.fewest();
        let tested = tested.filter(|_| n >= LEAST_REPEATS);
        let estimate = tested.map(|tested| tested.estimate);
        let ratio = Estimate {
            median: estimate.map_or(middle, |estimate| estimate.median),
            low: estimate.map(|estimate| estimate.low),
            high: estimate.map(|estimate| estimate.high),
            n,
        };
        let p = tested.map(|tested| tested.p);
        ratio
            .median
            .is_finite()
            .then_some(Comparison { ratio, repeats, p })
    }
}

impl Repeats {
    /// Blocks, or repeats of the side that has fewer.
    fn fewest(self) -> usize {
        match self {
            Repeats::Blocks(n) => n,
            Repeats::Apart(over, under) => over.min(under),
        }
    }
}

/// The verdict on each of a family of comparisons: all of them together call a cell faster or slower
/// that is neither with a probability of at most 5 % (Holm). `noise_floor` is how far two equal cells
/// were found to differ, as a share: 0.013 for ±1.3 %. It widens the margin within which cells are equivalent, and a smaller
/// difference is never called one.
pub fn decide(family: &[Comparison], noise_floor: Option<f64>) -> Vec<Verdict> {
    let p: Vec<f64> = family.iter().filter_map(|one| one.p).collect();
    let mut adjusted = stats::holm(&p).into_iter();
    let mut of_family = |one: &Comparison| one.p.and_then(|_| adjusted.next());
    let floor = noise_floor.unwrap_or(0.0).max(0.0);
    family
        .iter()
        .map(|one| one.verdict(of_family(one), p.len(), floor))
        .collect()
}

impl Comparison {
    /// `adjusted` is the probability that counts among `comparisons`.
    fn verdict(&self, adjusted: Option<f64>, comparisons: usize, floor: f64) -> Verdict {
        let too_few = |comparisons| Doubt::TooFew {
            repeats: self.repeats,
            comparisons,
            needed: stats::fewest_blocks(comparisons).max(LEAST_REPEATS),
        };
        let (Some(low), Some(high), Some(adjusted)) = (self.ratio.low, self.ratio.high, adjusted)
        else {
            return Verdict::Undecided(too_few(1));
        };
        let margin = (1.0 + LEAST_MARGIN.max(floor)).ln();
        if -margin <= low.ln() && high.ln() <= margin {
            return Verdict::Equivalent;
        }
        if low <= 1.0 && 1.0 <= high {
            return Verdict::Undecided(Doubt::Interval);
        }
        if self.ratio.median.ln().abs() <= (1.0 + floor).ln() {
            return Verdict::Undecided(Doubt::Noise { floor });
        }
        if adjusted > ALLOWED {
            return Verdict::Undecided(match self.can_decide(comparisons) {
                true => Doubt::Family { comparisons },
                false => too_few(comparisons),
            });
        }
        match self.ratio.median > 1.0 {
            true => Verdict::Faster,
            false => Verdict::Slower,
        }
    }

    /// Whether repeats that all agree could be called different among so many comparisons.
    fn can_decide(&self, comparisons: usize) -> bool {
        match self.repeats {
            Repeats::Blocks(n) => n >= stats::fewest_blocks(comparisons),
            // Of any two groups there are more orders than signs of as many pairs.
            Repeats::Apart(..) => true,
        }
    }
}

impl Verdict {
    /// The verdict without its reason, as `--fail-if` and the phases of a table spell it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::Equivalent => "equivalent",
            Verdict::Undecided(_) => "undecided",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Undecided(doubt) => write!(f, "undecided: {doubt}"),
            _ => f.write_str(self.word()),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::TooFew {
                repeats,
                comparisons: 1,
                ..
            } => write!(f, "cannot decide with n = {repeats}"),
            Doubt::TooFew {
                comparisons,
                needed,
                ..
            } => write!(f, "one of {comparisons} needs n = {needed}"),
            Doubt::Interval => f.write_str("the interval holds 1"),
            Doubt::Family { comparisons } => {
                write!(f, "one such of {comparisons} may be chance")
            }
            Doubt::Noise { floor } => {
                write!(f, "within the noise of {:.1} %", 100.0 * floor)
            }
        }
    }
}

impl fmt::Display for Repeats {
    /// `6`, or `6 + 8` for repeats of two sessions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Repeats::Blocks(n) => write!(f, "{n}"),
            Repeats::Apart(over, under) => write!(f, "{over} + {under}"),
        }
    }
}

#[cfg(test)]
mod tests;
