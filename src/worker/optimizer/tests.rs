//! Updates against plain loops in f64.

use super::*;

/// More than a chunk, and no multiple of one.
const LENGTH: usize = CHUNK + 37;

fn wave(scale: f64, phase: f64) -> Vec<f32> {
    let number = |i: usize| (scale * (i as f64 * 0.37 + phase).sin()) as f32;
    (0..LENGTH).map(number).collect()
}

fn config(rule: OptimizerName) -> Config {
    Config {
        rule,
        learning_rate: 0.05,
        decay: None,
        averages: false,
    }
}

fn assert_close(ours: &[f32], plain: &[f64]) {
    for (a, b) in ours.iter().zip(plain) {
        assert!((f64::from(*a) - b).abs() < 2e-6, "{a}, not {b}");
    }
}

#[test]
fn sgd_with_stairs_and_averages_is_the_plain_loop() {
    let decay = Some(Staircase {
        steps: 3,
        factor: 0.1,
    });
    let config = Config {
        decay,
        averages: true,
        ..config(OptimizerName::Sgd)
    };
    let mut weights = wave(1.0, 0.0);
    let mut optimizer = Optimizer::new(config, &[&weights]);
    let mut plain: Vec<f64> = weights.iter().copied().map(f64::from).collect();
    let mut average = plain.clone();
    for step in 1..=7u32 {
        let gradient = wave(0.5, f64::from(step));
        optimizer.step(vec![(&mut weights, &gradient)]);
        let rate = 0.05 * [1.0, 0.1, 0.01][(step as usize - 1) / 3];
        let decay = f64::from(1 + step) / f64::from(10 + step);
        for ((w, g), a) in plain.iter_mut().zip(&gradient).zip(&mut average) {
            *w -= rate * f64::from(*g);
            *a = decay * *a + (1.0 - decay) * *w;
        }
    }
    assert_close(&weights, &plain);
    assert_close(optimizer.averages().next().unwrap(), &average);
}

#[test]
fn adam_is_the_plain_loop() {
    let mut weights = wave(1.0, 0.0);
    let mut optimizer = Optimizer::new(config(OptimizerName::Adam), &[&weights]);
    let mut plain: Vec<f64> = weights.iter().copied().map(f64::from).collect();
    let (mut m, mut v) = (vec![0.0; LENGTH], vec![0.0; LENGTH]);
    for step in 1..=5 {
        // Some gradients are about as small as epsilon.
        let gradient = wave(if step == 3 { 1e-8 } else { 0.5 }, f64::from(step));
        optimizer.step(vec![(&mut weights, &gradient)]);
        let rate = 0.05 * (1.0 - 0.999f64.powi(step)).sqrt() / (1.0 - 0.9f64.powi(step));
        for i in 0..LENGTH {
            let g = f64::from(gradient[i]);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            plain[i] -= rate * m[i] / (v[i].sqrt() + 1e-8);
        }
    }
    assert_close(&weights, &plain);
}

#[test]
fn pieces_give_the_same_bits_as_the_whole() {
    let config = Config {
        averages: true,
        ..config(OptimizerName::Adam)
    };
    let gradient = wave(0.5, 1.0);
    let mut whole = wave(1.0, 0.0);
    let mut pieces = whole.clone();
    let mut one = Optimizer::new(config, &[&whole]);
    let (a, b) = pieces.split_at(100);
    let mut two = Optimizer::new(config, &[a, b]);
    for _ in 0..3 {
        one.step(vec![(&mut whole, &gradient)]);
        let (a, b) = pieces.split_at_mut(100);
        two.step(vec![(a, &gradient[..100]), (b, &gradient[100..])]);
    }
    assert_eq!(whole, pieces);
    let joined: Vec<f32> = two.averages().flatten().copied().collect();
    assert_eq!(one.averages().next().unwrap(), joined);
}

#[test]
fn a_mean_of_gradients_gives_the_same_bits_as_the_gradient_that_is_their_mean() {
    let config = config(OptimizerName::Adam);
    let (a, b) = (wave(0.5, 1.0), wave(0.25, 2.0));
    let mean: Vec<f32> = a.iter().zip(&b).map(|(a, b)| 0.5 * a + 0.5 * b).collect();
    let mut plain = wave(1.0, 0.0);
    let mut fused = plain.clone();
    let mut one = Optimizer::new(config, &[&plain]);
    let mut two = Optimizer::new(config, &[&fused]);
    for _ in 0..3 {
        one.step(vec![(&mut plain, &mean)]);
        two.step_by_mean(&mut fused, &[&a, &b]);
    }
    assert_eq!(plain, fused);
    one.step(vec![(&mut plain, &a)]);
    two.step_by_mean(&mut fused, &[&a]);
    assert_eq!(plain, fused);
}

#[test]
#[should_panic(expected = "another number of weights")]
fn pieces_of_another_length_are_refused() {
    let weights = wave(1.0, 0.0);
    let mut optimizer = Optimizer::new(config(OptimizerName::Sgd), &[&weights]);
    optimizer.step(vec![(&mut [0.0], &[0.0])]);
}
