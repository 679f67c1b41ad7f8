//! In: comparisons that were measured in the same blocks. Out: for each of them, how probable one so clear
//! is anywhere among all of them where no cell differs.
//!
//! If two cells are equal, which of them a block calls the other is a coin toss: the sign of its log
//! ratio. So the signs of whole blocks are turned, of all comparisons at once, and the clearest
//! comparison of each such draw is what chance makes of the family (max-T: Westfall and Young,
//! "Resampling-based multiple testing", 1993; with sign flips: Nichols and Holmes, "Nonparametric
//! permutation tests for functional neuroimaging", 2002). What a disturbed block does to all comparisons
//! stays together. Of n blocks there are 2^(n-1) draws, whatever the number of comparisons: six blocks
//! can decide any of them, where corrections by the number of comparisons need eight for four.

use super::random::Random;
use std::collections::BTreeSet;

/// The logarithm of a ratio in one block.
pub type LogRatio = (u32, f64);

/// Blocks up to which every combination of signs is drawn: 8,192 of them.
const EXHAUSTIVE_TO: usize = 14;
/// Draws for more blocks.
const DRAWS: usize = 10_000;
/// Sums of the same numbers in another order differ by less.
const ROUNDING: f64 = 1e-9;

/// The probability of each comparison, which is the log ratios of its blocks, among all of the family.
/// The same for the same numbers. One without blocks has 1.
pub fn max_t(family: &[Vec<LogRatio>]) -> Vec<f64> {
    let numbers: BTreeSet<u32> = family.iter().flatten().map(|(block, _)| *block).collect();
    let numbers: Vec<u32> = numbers.into_iter().collect();
    let place = |block: &u32| numbers.binary_search(block).expect("all blocks are listed");
    let family: Vec<Comparison> = family
        .iter()
        .map(|logs| Comparison::new(logs.iter().map(|(block, log)| (place(block), *log))))
        .collect();
    let observed = vec![1.0; numbers.len()];
    let clearness: Vec<f64> = family.iter().map(|one| one.clearness(&observed)).collect();
    let mut as_clear = vec![0u32; family.len()];
    let mut count = 0;
    for signs in draws(numbers.len()) {
        let clearest = family.iter().map(|one| one.clearness(&signs));
        let clearest = clearest.fold(0.0, f64::max);
        count += 1;
        for (as_clear, own) in as_clear.iter_mut().zip(&clearness) {
            *as_clear += u32::from(clearest >= own * (1.0 - ROUNDING));
        }
    }
    let share = |n: u32| f64::from(n) / f64::from(count);
    as_clear.into_iter().map(share).collect()
}

/// Signs of blocks, first those as they were measured. The first block's is never turned, since to turn
/// all makes no comparison clearer.
fn draws(blocks: usize) -> impl Iterator<Item = Vec<f64>> {
    let free = blocks.saturating_sub(1);
    let exhaustive = blocks <= EXHAUSTIVE_TO;
    let count = if exhaustive { 1 << free } else { DRAWS };
    let mut random = Random::new(1);
    (0..count).map(move |draw| {
        let turned = |at: usize, random: &mut Random| match exhaustive {
            _ if at == 0 || draw == 0 => false,
            true => draw >> (at - 1) & 1 == 1,
            false => random.below(2) == 1,
        };
        let sign = |at| if turned(at, &mut random) { -1.0 } else { 1.0 };
        (0..blocks).map(sign).collect()
    })
}

/// Log ratios by the place of their block, and what no sign changes about them.
struct Comparison {
    logs: Vec<(usize, f64)>,
    squares: f64,
}

impl Comparison {
    fn new(logs: impl Iterator<Item = (usize, f64)>) -> Self {
        let logs: Vec<_> = logs.collect();
        let squares = logs.iter().map(|(_, log)| log * log).sum();
        Self { logs, squares }
    }

    /// The square of Student's t of the log ratios with these signs, so that comparisons of any scatter
    /// and any number of blocks are on one scale.
    fn clearness(&self, signs: &[f64]) -> f64 {
        let n = self.logs.len() as f64;
        let sum: f64 = self.logs.iter().map(|(at, log)| signs[*at] * log).sum();
        let of_mean = sum * sum / n;
        // Rounding can leave less than nothing where all log ratios are equal.
        let rest = (self.squares - of_mean).max(f64::EPSILON * self.squares);
        match rest > 0.0 {
            true => (n - 1.0) * of_mean / rest,
            false => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn logs(values: &[f64]) -> Vec<LogRatio> {
        (1..).zip(values.iter().copied()).collect()
    }

    /// Among the others of a family.
    fn first_of(family: &[&[f64]]) -> f64 {
        let family: Vec<_> = family.iter().map(|values| logs(values)).collect();
        max_t(&family)[0]
    }

    #[test]
    fn of_one_comparison_it_is_the_share_of_signs_that_make_it_as_clear() {
        // Of 2^5 draws only the first has so large a sum; with the sign of 0.1 turned one more has.
        assert_eq!(first_of(&[&[1.0, 0.9, 1.1, 1.0, 0.8, 0.1]]), 1.0 / 32.0);
        assert_eq!(first_of(&[&[1.0, 0.9, 1.1, 1.0, 0.8, -0.1]]), 2.0 / 32.0);
        assert_eq!(first_of(&[&[0.0; 6]]), 1.0);
        assert_eq!(first_of(&[&[]]), 1.0);
    }

    #[test]
    fn six_blocks_decide_a_clear_comparison_of_any_number() {
        let noise = [0.01, -0.02, 0.015, -0.01, 0.02, -0.012];
        let clear = [0.63, 0.62, 0.64, 0.61, 0.63, 0.62];
        let mut family = vec![&noise[..]; 30];
        family.insert(0, &clear);
        assert_eq!(first_of(&family), 1.0 / 32.0);
        family[0] = &[0.03, 0.01, 0.02, 0.04, 0.001, 0.03];
        let unclear = first_of(&family);
        assert!((0.05..0.2).contains(&unclear), "{unclear}");
    }

    #[test]
    fn blocks_that_one_comparison_lacks_count_for_the_others() {
        let whole = logs(&[0.1, 0.11, 0.09, 0.1, 0.12, 0.1]);
        let without_first = whole[1..].to_vec();
        let p = max_t(&[whole, without_first]);
        assert_eq!(p[0], 1.0 / 32.0);
        assert_eq!(
            p[1],
            2.0 / 32.0,
            "the sign of the first block is nothing to it"
        );
    }

    #[test]
    fn many_blocks_are_drawn_at_random_and_always_alike() {
        let values: Vec<f64> = (0..30)
            .map(|i| 0.05 + 0.02 * f64::from(i * 7 % 30 - 15))
            .collect();
        let p = first_of(&[&values]);
        // Student's test gives 0.223.
        assert!((p - 0.223).abs() < 0.02, "{p}");
        assert_eq!(p, first_of(&[&values]));
    }

    proptest! {
        #[test]
        fn a_family_makes_nothing_surer(
            a in prop::collection::vec(-1.0..1.0f64, 7),
            b in prop::collection::vec(-1.0..1.0f64, 7),
        ) {
            let alone = first_of(&[&a]);
            let together = first_of(&[&a, &b]);
            prop_assert!(alone <= together && together <= 1.0);
            prop_assert!(alone >= 1.0 / 64.0);
        }
    }
}
