//! In: blocks of timings on three levels: build, process (one for each side of a block), window. Out: the
//! ratio of the sides with the interval of a hierarchical bootstrap. Knows neither cells nor units.

use super::paired::{fill_walsh_averages, walsh_averages};
use super::random::Random;
use super::{CONFIDENCE, Estimate, Tested, is_positive, median, student};
use std::collections::BTreeMap;

/// What both sides of a comparison measured in one block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Which build of the two programs; the same number everywhere where each was built once.
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
/// topmost level that has several. With fewer than about six builds the interval is still too narrow for
/// a claim about every build of a flavour. Blocks have values on both sides, and all are positive.
/// None below two blocks.
pub(super) fn hierarchical(blocks: &[Block], draws: Draws) -> Option<Tested> {
    let logs: Vec<f64> = blocks.iter().map(Block::log_ratio).collect();
    let centre = median(&walsh_averages(&logs))?;
    let degrees = blocks.len().checked_sub(1).filter(|n| *n > 0)?;
    let error = standard_error(blocks, &logs, draws);
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
fn standard_error(blocks: &[Block], logs: &[f64], draws: Draws) -> f64 {
    let builds = by_build(blocks);
    let top = if builds.len() > 1 {
        builds.len()
    } else {
        blocks.len()
    };
    let mut random = Random::new(draws.seed);
    let mut memory = Memory::default();
    let estimates: Vec<f64> = (0..draws.count)
        .map(|_| memory.draw(blocks, logs, &builds, &mut random))
        .collect();
    let mean = estimates.iter().sum::<f64>() / estimates.len() as f64;
    let squares: f64 = estimates.iter().map(|value| (value - mean).powi(2)).sum();
    // Drawing from k units instead of from where they came makes the variance too small by (k - 1) / k.
    (squares / estimates.len() as f64 * top as f64 / (top - 1) as f64).sqrt()
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
mod tests {
    use super::*;

    /// `n` blocks whose log ratios are spread evenly over ±`reach` around that of `ratio`.
    fn blocks(n: usize, ratio: f64, reach: f64) -> Vec<Block> {
        let place = |i: usize| 2.0 * i as f64 / (n - 1) as f64 - 1.0;
        let block = |i| Block {
            build: 0,
            over: vec![ratio * (reach * place(i)).exp()],
            under: vec![1.0],
        };
        (0..n).map(block).collect()
    }

    fn width(tested: &Tested) -> f64 {
        (tested.estimate.high / tested.estimate.low).ln()
    }

    #[test]
    fn without_levels_it_is_near_the_interval_of_student() {
        let values = blocks(30, 1.05, 0.04);
        let logs: Vec<f64> = values.iter().map(Block::log_ratio).collect();
        let mean = logs.iter().sum::<f64>() / 30.0;
        let deviation = (logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 29.0).sqrt();
        let student = 2.0 * 2.0452 * deviation / 30f64.sqrt();
        let tested = hierarchical(&values, Draws::default()).unwrap();
        assert!((tested.estimate.median - 1.05).abs() < 1e-9);
        let share = width(&tested) / student;
        assert!((0.9..1.15).contains(&share), "{share}");
        assert!(tested.p < 1e-6, "{}", tested.p);
    }

    #[test]
    fn the_same_rows_give_the_same_interval() {
        let values = blocks(20, 1.01, 0.03);
        let draws = Draws::default();
        assert_eq!(hierarchical(&values, draws), hierarchical(&values, draws));
        let other = Draws { seed: 2, ..draws };
        assert_ne!(hierarchical(&values, draws), hierarchical(&values, other));
    }

    #[test]
    fn probability_and_interval_say_the_same() {
        for ratio in [1.0, 1.004, 1.008, 1.012, 1.016, 1.02] {
            let tested = hierarchical(&blocks(20, ratio, 0.03), Draws::default()).unwrap();
            let covers_one = tested.estimate.low <= 1.0 && 1.0 <= tested.estimate.high;
            assert_eq!(covers_one, tested.p > 0.05, "{tested:?}");
        }
    }

    #[test]
    fn windows_and_builds_widen_the_interval() {
        let plain = blocks(24, 1.0, 0.02);
        let mut windows = plain.clone();
        for block in &mut windows {
            block.under = vec![0.8, 0.9, 1.0, 1.1, 1.2];
        }
        let mut builds = plain.clone();
        for (i, block) in builds.iter_mut().enumerate() {
            block.build = i as u32 % 2;
            // Layout luck of two per cent in each direction.
            block.over[0] *= if i % 2 == 0 { 1.02 } else { 0.98 };
        }
        let of = |values: &[Block]| hierarchical(values, Draws::default()).unwrap();
        let (plain, windows, builds) = (of(&plain), of(&windows), of(&builds));
        assert!(width(&windows) > 1.5 * width(&plain), "{windows:?}");
        assert!(width(&builds) > 3.0 * width(&plain), "{builds:?}");
    }

    #[test]
    fn equal_blocks_leave_no_doubt_and_one_block_no_answer() {
        let same = |ratio: f64| {
            let tested = hierarchical(&blocks(20, ratio, 0.0), Draws::default()).unwrap();
            (tested.estimate.low, tested.estimate.high, tested.p)
        };
        assert_eq!(same(1.0), (1.0, 1.0, 1.0));
        let (low, high, p) = same(2.0);
        assert!((low - 2.0).abs() < 1e-9 && (high - 2.0).abs() < 1e-9 && p == 0.0);
        let one = [Block {
            build: 0,
            over: vec![2.0],
            under: vec![1.0],
        }];
        assert_eq!(hierarchical(&one, Draws::default()), None);
    }

    #[test]
    fn the_middle_of_a_slice_is_its_median() {
        for values in [
            vec![3.0],
            vec![4.0, 1.0],
            vec![5.0, 1.0, 4.0, 2.0, 9.0, 2.0],
        ] {
            assert_eq!(Some(middle(&mut values.clone())), median(&values));
        }
    }
}
