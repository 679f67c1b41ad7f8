//! How often verdicts are right, over thousands of experiments whose truth is known because they are
//! drawn at random. Nothing here is a measurement: simulated rates test the statistics and nothing else.

use xrun::analysis::verdict::{Comparison, Verdict, decide};
use xrun::stats::{Block, Draws};

const EXPERIMENTS: u32 = 4000;
/// Relative scatter of processes of one cell.
const NOISE: f64 = 0.02;
/// Windows of a process, and their relative scatter.
const WINDOWS: usize = 5;
const WINDOW_NOISE: f64 = 0.01;
/// Fewer than the program draws, so that a debug build takes seconds; the error of the width is 5 %.
const DRAWS: u32 = 200;

/// How the processes of a cell scatter around its rate.
#[derive(Clone, Copy, Debug)]
enum Tails {
    Normal,
    /// Student's distribution with three degrees of freedom, of the same standard deviation.
    Heavy,
    /// One process of twenty is disturbed and up to 30 % slower, on both sides alike.
    Disturbed,
}

const ALL_TAILS: [Tails; 3] = [Tails::Normal, Tails::Heavy, Tails::Disturbed];

/// What became of all experiments of one setting, as shares.
#[derive(Clone, Copy, Debug, Default)]
struct Shares {
    faster: f64,
    slower: f64,
    /// The interval holds the true ratio.
    covered: f64,
}

#[test]
fn equal_cells_are_rarely_called_different_and_intervals_hold_their_ratio() {
    for (n, tails, shares) in settings(1.0) {
        let wrong = shares.faster + shares.slower;
        assert!(wrong <= 0.057, "n = {n}, {tails:?}: {shares:?}");
        assert_coverage(n, tails, shares);
    }
}

#[test]
fn intervals_hold_the_ratio_of_cells_that_differ() {
    for (n, tails, shares) in settings(1.05) {
        assert_coverage(n, tails, shares);
    }
}

#[track_caller]
fn assert_coverage(n: u32, tails: Tails, shares: Shares) {
    // Shown with `--nocapture`.
    println!("n = {n}, {tails:?}: {shares:?}");
    let honest = (0.94..=0.98).contains(&shares.covered);
    assert!(honest, "n = {n}, {tails:?}: {shares:?}");
}

#[test]
fn ten_blocks_find_an_effect_of_five_per_cent() {
    // Disturbed processes are more than noise of two per cent: that is why a run measures them again.
    for (tails, least) in [
        (Tails::Normal, 0.9),
        (Tails::Heavy, 0.9),
        (Tails::Disturbed, 0.7),
    ] {
        let shares = outcome(10, 1.05, tails);
        assert!(shares.faster >= least, "{tails:?}: {shares:?}");
        assert_eq!(shares.slower, 0.0, "{tails:?}");
        let inverse = outcome(10, 1.0 / 1.05, tails);
        assert!(inverse.slower >= least, "{tails:?}: {inverse:?}");
    }
}

#[test]
fn families_of_equal_cells_are_called_different_in_few_experiments() {
    for (n, tails) in [6, 10]
        .into_iter()
        .flat_map(|n| ALL_TAILS.map(|tails| (n, tails)))
    {
        let mut random = Random(7);
        let wrong = (0..EXPERIMENTS).filter(|_| {
            let family = family(n, &[0.0; 4], tails, &mut random);
            decide(&family, None).iter().any(is_call)
        });
        let share = wrong.count() as f64 / f64::from(EXPERIMENTS);
        println!("n = {n}, {tails:?}: families with a wrong call {share}");
        assert!(share <= 0.057, "n = {n}, {tails:?}: {share}");
    }
}

#[test]
fn six_blocks_find_a_large_effect_among_many_comparisons() {
    let found = |n, effect: f64, tails| {
        let mut random = Random(8);
        let found = (0..EXPERIMENTS).filter(|_| {
            let family = family(n, &[effect.ln(), 0.0, 0.0, 0.0], tails, &mut random);
            decide(&family, None)[0] == Verdict::Faster
        });
        found.count() as f64 / f64::from(EXPERIMENTS)
    };
    for tails in [Tails::Normal, Tails::Heavy] {
        let shares = [found(6, 1.15, tails), found(10, 1.07, tails)];
        println!("{tails:?}: one of 24 found in {shares:?}");
        assert!(
            shares.iter().all(|share| *share >= 0.9),
            "{tails:?}: {shares:?}"
        );
    }
}

/// Six groups of cells that are compared with a base of their own, in the same `n` blocks. Each cell
/// differs from its base by a logarithm of `effects`.
fn family(n: u32, effects: &[f64], tails: Tails, random: &mut Random) -> Vec<Comparison> {
    let group = |random: &mut Random| {
        let mut blocks = vec![Vec::new(); effects.len()];
        for number in 0..n {
            let under = tails.draw(random).exp();
            for (blocks, effect) in blocks.iter_mut().zip(effects) {
                blocks.push(Block {
                    block: number,
                    build: 1,
                    over: vec![(effect + tails.draw(random)).exp()],
                    under: vec![under],
                });
            }
        }
        blocks
    };
    let groups: Vec<_> = (0..6).flat_map(|_| group(random)).collect();
    let compared = groups
        .iter()
        .map(|blocks| Comparison::of_blocks(blocks, Draws::default()));
    compared.collect::<Option<_>>().unwrap()
}

/// Both methods with all tails: below and from twenty blocks up.
fn settings(ratio: f64) -> impl Iterator<Item = (u32, Tails, Shares)> {
    let each = move |n| ALL_TAILS.map(|tails| (n, tails, outcome(n, ratio, tails)));
    [6, 10, 20].into_iter().flat_map(each)
}

fn outcome(n: u32, ratio: f64, tails: Tails) -> Shares {
    let mut random = Random(u64::from(n) << 8 | tails as u64);
    let mut shares = Shares::default();
    let one = 1.0 / f64::from(EXPERIMENTS);
    for _ in 0..EXPERIMENTS {
        let comparison = compare(n, ratio, tails, &mut random);
        let (low, high) = (comparison.ratio.low, comparison.ratio.high);
        let covered = low.unwrap()..=high.unwrap();
        shares.covered += if covered.contains(&ratio) { one } else { 0.0 };
        match decide(&[comparison], None)[0] {
            Verdict::Faster => shares.faster += one,
            Verdict::Slower => shares.slower += one,
            _ => {}
        }
    }
    shares
}

fn is_call(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Faster | Verdict::Slower)
}

fn compare(n: u32, ratio: f64, tails: Tails, random: &mut Random) -> Comparison {
    let draws = Draws {
        count: DRAWS,
        seed: random.bits(),
    };
    let blocks: Vec<_> = (0..n).map(|b| block(b, n, ratio, tails, random)).collect();
    Comparison::of_blocks(&blocks, draws).unwrap()
}

/// One block of `n`: two processes in random order on a machine that gets 20 % slower over the
/// experiment, and that is faster or slower for a whole block.
fn block(number: u32, n: u32, ratio: f64, tails: Tails, random: &mut Random) -> Block {
    let of_block = 0.05 * random.normal();
    let over_first = random.unit() < 0.5;
    let mut process = |rate: f64, second: bool| {
        let when = f64::from(2 * number + u32::from(second)) / f64::from(2 * n);
        let log = rate.ln() + of_block - 0.2 * when + tails.draw(random);
        let window = |_| (log + WINDOW_NOISE * random.normal()).exp();
        (0..WINDOWS).map(window).collect::<Vec<_>>()
    };
    let over = process(ratio, !over_first);
    let under = process(1.0, over_first);
    Block {
        block: number,
        build: 1,
        over,
        under,
    }
}

impl Tails {
    /// How far the logarithm of a process's rate is off.
    fn draw(self, random: &mut Random) -> f64 {
        match self {
            Tails::Normal => NOISE * random.normal(),
            Tails::Heavy => {
                let squares: f64 = (0..3).map(|_| random.normal().powi(2)).sum();
                // Student's t with three degrees of freedom has the variance 3.
                NOISE * random.normal() / (squares / 3.0).sqrt() / 3f64.sqrt()
            }
            Tails::Disturbed => {
                let disturbed = random.unit() < 0.05;
                let lost = if disturbed { 0.3 * random.unit() } else { 0.0 };
                NOISE * random.normal() - lost
            }
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In (0, 1).
    fn unit(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Of the standard normal distribution (Box and Muller, 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}
