use super::*;

fn at(block: u32, value: f64) -> InBlock {
    let build = 1;
    InBlock {
        block,
        build,
        value,
    }
}

/// `n` blocks of the given ratio, each off by at most `noise`, with a drift of their own.
fn of(n: u32, ratio: f64, noise: f64) -> Comparison {
    let off = |block: u32| {
        let places = f64::from(n.max(2) - 1);
        (noise * (2.0 * f64::from((block * 7) % n) / places - 1.0)).exp()
    };
    let drift = |block: u32| 100.0 + 30.0 * f64::from(block);
    let under: Vec<_> = (0..n).map(|b| at(b, drift(b))).collect();
    let over: Vec<_> = (0..n).map(|b| at(b, ratio * off(b) * drift(b))).collect();
    Comparison::by_block(&over, &under).unwrap()
}

fn alone(comparison: Comparison, floor: Option<f64>) -> String {
    decide(&[comparison], floor)[0].to_string()
}

#[test]
fn each_verdict_is_given_where_it_holds() {
    let verdicts = [
        alone(of(6, 1.05, 0.01), None),
        alone(of(6, 0.95, 0.01), None),
        alone(of(10, 1.0, 0.01), None),
        alone(of(10, 1.005, 0.002), None),
        alone(of(10, 1.0, 0.05), None),
        alone(of(24, 1.05, 0.01), None),
    ];
    insta::assert_debug_snapshot!(verdicts, @r#"
    [
        "faster",
        "slower",
        "equivalent",
        "equivalent",
        "undecided: the interval holds 1",
        "faster",
    ]
    "#);
}

#[test]
fn few_blocks_have_a_ratio_and_no_verdict() {
    let three = of(3, 1.5, 0.001);
    assert!((three.ratio.median - 1.5).abs() < 1e-9);
    assert_eq!((three.ratio.low, three.ratio.n), (None, 3));
    assert_eq!(alone(three, None), "undecided: cannot decide with n = 3");
    assert_eq!(Comparison::by_block(&[at(1, 1.0)], &[at(2, 1.0)]), None);
    assert_eq!(Comparison::by_block(&[at(1, 0.0)], &[at(1, 1.0)]), None);
}

#[test]
fn a_difference_below_the_noise_of_equal_cells_is_none() {
    let small = of(10, 1.03, 0.015);
    assert_eq!(alone(small.clone(), None), "faster");
    assert_eq!(
        alone(small.clone(), Some(0.035)),
        "undecided: within the noise of 3.5 %"
    );
    assert_eq!(alone(small, Some(0.1)), "equivalent");
}

#[test]
fn a_family_is_decided_together() {
    let family = |n| {
        let others = std::iter::repeat_with(|| of(n, 1.0, 0.05)).take(3);
        let all: Vec<_> = std::iter::once(of(n, 1.1, 0.01)).chain(others).collect();
        decide(&all, None)[0].to_string()
    };
    assert_eq!(family(6), "undecided: one of 4 needs n = 8");
    assert_eq!(family(8), "faster");
    // One comparison that has no interval takes no part in the family.
    let with_too_few = [of(6, 1.1, 0.01), of(3, 1.1, 0.01)];
    assert_eq!(decide(&with_too_few, None)[0], Verdict::Faster);
}

#[test]
fn chance_is_named_where_a_family_could_have_been_decided() {
    // Of ten blocks one disagrees: p = 0.020, which is not enough for one of five.
    let under: Vec<_> = (0..10).map(|b| at(b, 1.0)).collect();
    let over: Vec<_> = (0..10)
        .map(|b| match b {
            0 => at(b, 0.93),
            _ => at(b, 1.03 + 0.01 * f64::from(b)),
        })
        .collect();
    let doubtful = Comparison::by_block(&over, &under).unwrap();
    assert_eq!(alone(doubtful.clone(), None), "faster");
    let mut family = vec![of(10, 1.0, 0.05); 4];
    family.insert(0, doubtful);
    assert_eq!(
        decide(&family, None)[0].to_string(),
        "undecided: one such of 5 may be chance"
    );
}

#[test]
fn cells_of_two_sessions_need_six_repeats_each() {
    let side = |n: u32, rate: f64| -> Vec<f64> {
        (0..n)
            .map(|i| rate * (1.0 + 0.001 * f64::from(i)))
            .collect()
    };
    let comparison = Comparison::apart(&side(6, 110.0), &side(8, 100.0)).unwrap();
    assert_eq!(comparison.repeats.to_string(), "6 + 8");
    assert_eq!(alone(comparison, None), "faster");
    let few = Comparison::apart(&side(5, 110.0), &side(8, 100.0)).unwrap();
    assert_eq!(alone(few, None), "undecided: cannot decide with n = 5 + 8");
    assert_eq!(Comparison::apart(&[], &[1.0]), None);
}
