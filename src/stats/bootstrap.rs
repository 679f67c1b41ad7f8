//! In: blocks of timings on three levels: build, process (one for each side of a block), window. Out: the
//! ratio of the sides with the interval of a hierarchical bootstrap. Knows neither cells nor units.

use super::paired::{fill_walsh_averages, walsh_averages};
use super::random::Random;
use super::{CONFIDENCE, Estimate, Tested, is_positive, median, student};
use std::collections::BTreeMap;

/// What both sides of a comparison measured in one block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Which build of the two programs: what their layout adds is common to all blocks of one.
    pub build: u32,
    /// One value for each window of the process, or a single one for all of it.
    pub over: Vec<f64>,
    pub under: Vec<f64>,
}

/// How often the data are drawn again, from which random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    /// The relative error of the interval's width is about one over the root of twice this.
    pub count: u32,
    pub seed: u64,
}

impl Default for Draws {
    /// Always the same, so that the same rows give the same interval.
    fn default() -> Self {
        Draws {
            count: 1000,
            seed: 1,
        }
    }
}

/// The typical ratio of blocks: the Hodges–Lehmann estimate over the logarithms of `over / under`, each
/// side's median over its windows. Its standard error comes from drawing builds, then blocks within
/// them, then windows within each process, all with replacement (Kalibera and Jones, "Quantifying
/// performance changes with effect size confidence intervals", 2012); the interval is Student's with
/// that error, which unlike plain percentiles is not too narrow for few blocks (Hesterberg, "What
/// teachers should know about the bootstrap", 2015, §5). The error is enlarged for the number of units on the
/// topmost level that has several, and few builds make Student's interval wide ([`degrees`]). Blocks have values on both sides, and all are positive.
/// None below two blocks.
pub(super) fn hierarchical(blocks: &[Block], draws: Draws) -> Option<Tested> {
    let logs: Vec<f64> = blocks.iter().map(Block::log_ratio).collect();
    let centre = median(&walsh_averages(&logs))?;
    blocks.len().checked_sub(2)?;
    let builds = by_build(blocks);
    let error = standard_error(blocks, &logs, &builds, draws);
    let degrees = degrees(&logs, &builds, error);
    let reach = student::critical(1.0 - CONFIDENCE, degrees) * error;
    let estimate = Estimate {
        median: centre.exp(),
        low: (centre - reach).exp(),
        high: (centre + reach).exp(),
        n: blocks.len(),
        coverage: CONFIDENCE,
    };
    let p = match (centre == 0.0, error == 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => student::two_sided(centre / error, degrees),
    };
    Some(Tested { estimate, p })
}

/// Standard deviation of the estimate over the draws, as large as the topmost level makes it.
fn standard_error(blocks: &[Block], logs: &[f64], builds: &[Vec<usize>], draws: Draws) -> f64 {
    let top = if builds.len() > 1 {
        builds.len()
    } else {
        blocks.len()
    };
    let mut random = Random::new(draws.seed);
    let mut memory = Memory::default();
    let estimates: Vec<f64> = (0..draws.count)
        .map(|_| memory.draw(blocks, logs, builds, &mut random))
        .collect();
    let mean = estimates.iter().sum::<f64>() / estimates.len() as f64;
    let squares: f64 = estimates.iter().map(|value| (value - mean).powi(2)).sum();
    // Drawing from k units instead of from where they came makes the variance too small by (k - 1) / k.
    (squares / estimates.len() as f64 * top as f64 / (top - 1) as f64).sqrt()
}

/// How many independent differences the error rests on: between builds where layout moves the ratio more
/// than blocks do, among all blocks where it does not (Satterthwaite, "An approximate distribution of
/// estimates of variance components", 1946). So an interval over two builds says how little they tell,
/// and over three or more it covers about as often as it claims, whatever layout does.
fn degrees(logs: &[f64], builds: &[Vec<usize>], error: f64) -> usize {
    let (all, several) = (logs.len(), builds.len());
    if several == 1 || several == all || error == 0.0 {
        return all - 1;
    }
    let mean = |places: &Vec<usize>| {
        let sum: f64 = places.iter().map(|place| logs[*place]).sum();
        sum / places.len() as f64
    };
    let means: Vec<f64> = builds.iter().map(mean).collect();
    let middle = means.iter().sum::<f64>() / several as f64;
    let squares: f64 = means.iter().map(|mean| (mean - middle).powi(2)).sum();
    let of_builds = squares / ((several - 1) * several) as f64;
    let whole = error.powi(2);
    let of_blocks = (whole - of_builds).max(0.0);
    let spread =
        of_builds.powi(2) / (several - 1) as f64 + of_blocks.powi(2) / (all - several) as f64;
    ((whole.powi(2) / spread) as usize).clamp(1, all - 1)
}

/// Places of the blocks of each build.
fn by_build(blocks: &[Block]) -> Vec<Vec<usize>> {
    let mut builds: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, block) in blocks.iter().enumerate() {
        builds.entry(block.build).or_default().push(place);
    }
    builds.into_values().collect()
}

/// What each draw needs and the next one uses again.
#[derive(Default)]
struct Memory {
    logs: Vec<f64>,
    averages: Vec<f64>,
    windows: Vec<f64>,
}

impl Memory {
    /// The estimate from one draw of everything.
    fn draw(
        &mut self,
        blocks: &[Block],
        logs: &[f64],
        builds: &[Vec<usize>],
        random: &mut Random,
    ) -> f64 {
        self.logs.clear();
        for _ in builds {
            let build = &builds[random.below(builds.len())];
            for _ in build {
                let place = build[random.below(build.len())];
                let log = match blocks[place].has_windows() {
                    true => self.log_ratio(&blocks[place], random),
                    false => logs[place],
                };
                self.logs.push(log);
            }
        }
        fill_walsh_averages(&self.logs, &mut self.averages);
        middle(&mut self.averages)
    }

    /// That of one block, from windows drawn anew.
    fn log_ratio(&mut self, block: &Block, random: &mut Random) -> f64 {
        let mut side = |values: &[f64]| {
            self.windows.clear();
            let drawn = (0..values.len()).map(|_| values[random.below(values.len())]);
            self.windows.extend(drawn);
            middle(&mut self.windows).ln()
        };
        side(&block.over) - side(&block.under)
    }
}

impl Block {
    fn has_windows(&self) -> bool {
        self.over.len() > 1 || self.under.len() > 1
    }

    /// Whether each side has values, and each value has a logarithm.
    pub(super) fn is_valid(&self) -> bool {
        let valid = |side: &[f64]| !side.is_empty() && side.iter().all(is_positive);
        valid(&self.over) && valid(&self.under)
    }

    pub(super) fn log_ratio(&self) -> f64 {
        let middle = |side: &[f64]| median(side).expect("a side of a block has a value");
        middle(&self.over).ln() - middle(&self.under).ln()
    }
}

/// The median of at least one value, in time that grows as their number; their order is lost.
fn middle(values: &mut [f64]) -> f64 {
    let (half, even) = (values.len() / 2, values.len().is_multiple_of(2));
    let (below, upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    match even {
        true => (below.iter().copied().fold(f64::MIN, f64::max) + *upper) / 2.0,
        false => *upper,
    }
}

#[cfg(test)]
mod tests;
