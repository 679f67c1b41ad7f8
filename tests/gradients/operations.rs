//! Operations of recurrent networks and of skip connections, in f64 against differences.

use crate::differences::{Of, numbers, variable, worst_error};
use candle_core::Tensor;
use xrun::worker::layer::{Layer, Tape, Upsample, channels, pointwise};

const BOUND: f64 = 1e-8;

/// More than one thread has something to do, and parts are uneven.
fn in_threads(check: impl Fn() + Sync) {
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(&check);
    }
}

#[test]
fn pointwise_functions() {
    in_threads(|| {
        let x = variable(&(numbers(1, (3, 5)) * 3.0).unwrap());
        let b = variable(&numbers(2, (3, 5)));
        let sigmoid = Of(|tape: &mut Tape, x: &Tensor| pointwise::sigmoid(tape, x));
        assert!(worst_error(&x, &sigmoid, &[]) < BOUND);
        let tanh = Of(|tape: &mut Tape, x: &Tensor| pointwise::tanh(tape, x));
        assert!(worst_error(&x, &tanh, &[]) < BOUND);
        let sum = Of(|tape: &mut Tape, x: &Tensor| pointwise::sum(tape, x, &b));
        assert!(worst_error(&x, &sum, &[&b]) < BOUND);
        let product = Of(|tape: &mut Tape, x: &Tensor| pointwise::product(tape, x, &b));
        assert!(worst_error(&x, &product, &[&b]) < BOUND);
    });
    let (x, other) = (numbers(1, (3, 5)), numbers(1, (5, 3)));
    let tape = &mut Tape::default();
    assert!(pointwise::sum(tape, &x, &other).is_err(), "other shape");
    assert!(pointwise::product(tape, &x, &other).is_err(), "other shape");
}

#[test]
fn squashed_numbers_stay_within_their_bounds() {
    let x = Tensor::new(&[-1e4f32, -1.0, 0.0, 1.0, 1e4], &candle_core::Device::Cpu).unwrap();
    let tape = &mut Tape::default();
    let sigmoid = pointwise::sigmoid(tape, &x).unwrap().to_vec1::<f32>();
    let sigmoid = sigmoid.unwrap();
    assert_eq!([sigmoid[0], sigmoid[2], sigmoid[4]], [0.0, 0.5, 1.0]);
    assert!((sigmoid[1] + sigmoid[3] - 1.0).abs() < 1e-6);
    let tanh = pointwise::tanh(tape, &x).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!([tanh[0], tanh[2], tanh[4]], [-1.0, 0.0, 1.0]);
}

#[test]
fn channels_and_upsampling() {
    in_threads(|| {
        let x = variable(&numbers(1, (2, 3, 4, 5)));
        let b = variable(&numbers(2, (2, 3, 4, 2)));
        for range in [0..5, 1..3, 4..5] {
            let select = Of(|tape: &mut Tape, x: &Tensor| channels::select(tape, x, range.clone()));
            assert!(worst_error(&x, &select, &[]) < BOUND);
        }
        let behind = Of(|tape: &mut Tape, x: &Tensor| channels::concatenate(tape, x, &b));
        assert!(worst_error(&x, &behind, &[&b]) < BOUND);
        let before = Of(|tape: &mut Tape, x: &Tensor| channels::concatenate(tape, &b, x));
        assert!(worst_error(&x, &before, &[&b]) < BOUND);
        assert!(worst_error(&x, &Upsample, &[]) < BOUND);
    });
}

#[test]
fn results_are_those_of_candle() {
    let (a, b) = (numbers(1, (2, 3, 4, 5)), numbers(2, (2, 3, 4, 2)));
    let tape = &mut Tape::default();
    let joined = channels::concatenate(tape, &a, &b).unwrap();
    let expected = Tensor::cat(&[&a, &b], 3).unwrap();
    let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(flat(&joined), flat(&expected));
    let selected = channels::select(tape, &joined, 3..6).unwrap();
    assert_eq!(flat(&selected), flat(&expected.narrow(3, 3, 3).unwrap()));
    let large = Upsample.forward(tape, &a).unwrap();
    let expected = a.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
    let expected = expected.upsample_nearest2d(6, 8).unwrap();
    let expected = expected.permute((0, 2, 3, 1)).unwrap();
    assert_eq!(flat(&large), flat(&expected));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let (a, b) = (numbers(1, (2, 3, 4, 5)), numbers(2, (2, 3, 3, 5)));
    let tape = &mut Tape::default();
    assert!(channels::concatenate(tape, &a, &b).is_err(), "other width");
    assert!(channels::select(tape, &a, 3..6).is_err(), "too far");
    assert!(channels::select(tape, &a, 3..3).is_err(), "nothing");
    assert!(Upsample.forward(tape, &numbers(1, (3, 4))).is_err());
}
