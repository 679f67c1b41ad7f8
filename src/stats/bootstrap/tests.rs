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

/// Of the standard normal distribution (Box and Muller, 1958).
fn normal(random: &mut Random) -> f64 {
    let (radius, angle) = (random.unit(), random.unit());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// The share of simulated comparisons of `n` blocks, in turn of `builds` builds, whose interval holds
/// the true ratio, where layout scatters `luck` times as much as blocks do.
fn coverage(builds: usize, n: usize, luck: f64, random: &mut Random) -> f64 {
    let draws = Draws {
        count: 100,
        seed: 1,
    };
    let covers = |random: &mut Random| {
        let layout: Vec<f64> = (0..builds).map(|_| luck * normal(random)).collect();
        let mut block = |i: usize| Block {
            build: (i % builds) as u32,
            over: vec![(0.01 * (layout[i % builds] + normal(random))).exp()],
            under: vec![1.0],
        };
        let blocks: Vec<Block> = (0..n).map(&mut block).collect();
        let tested = hierarchical(&blocks, draws).unwrap().estimate;
        tested.low <= 1.0 && 1.0 <= tested.high
    };
    let covered = (0..500).filter(|_| covers(random)).count();
    covered as f64 / 500.0
}

#[test]
fn intervals_over_few_builds_cover_the_ratio_of_others() {
    let mut random = Random::new(5);
    let settings = [
        (2, 20, 2.0, 0.84),
        (3, 21, 2.0, 0.90),
        (3, 21, 0.0, 0.94),
        (5, 20, 2.0, 0.92),
    ];
    for (builds, n, luck, least) in settings {
        let share = coverage(builds, n, luck, &mut random);
        assert!(share >= least, "{builds} builds, luck {luck}: {share}");
    }
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
