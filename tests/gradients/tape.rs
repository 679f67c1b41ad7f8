//! What a tape keeps from pass to pass, how it adds gradients up, and what it refuses.

use crate::differences::{Of, differentiate, numbers, relative_distance, variable, worst_error};
use candle_core::{Result, Tensor, Var};
use xrun::worker::layer::{Activation, Dense, Layer, Tape, channels, pointwise};

fn dense(seed: u64, shape: (usize, usize)) -> (Dense, Var) {
    let (w, b) = (
        variable(&numbers(seed, shape)),
        variable(&numbers(3, shape.1)),
    );
    (Dense::new(w.clone(), b, Activation::Relu), w)
}

#[test]
fn a_tape_takes_its_memory_again() {
    let x = numbers(1, (2, 3));
    let ((first, w), (second, _)) = (dense(2, (3, 4)), dense(4, (4, 2)));
    let mut tape = Tape::default();
    let mut step = |x: &Tensor| {
        tape.rewind();
        let y = first.forward(&mut tape, x).unwrap();
        let z = second.forward(&mut tape, &y).unwrap();
        assert_eq!(tape.calls(), 2);
        tape.backward().unwrap();
        let gradient = tape.gradient(&w).unwrap().clone();
        (z.id(), gradient.id(), gradient.copy().unwrap())
    };
    let (z, dw, gradient) = step(&x);
    let (same_z, same_dw, _) = step(&(&x * 2.0).unwrap());
    assert!(
        (z, dw) == (same_z, same_dw),
        "memory of a step is taken again"
    );
    assert_eq!(relative_distance(&step(&x).2, &gradient), 0.0);
    let (other_z, _, _) = step(&numbers(1, (5, 3)));
    assert_ne!(other_z, z, "another shape needs other memory");
    assert_eq!(relative_distance(&step(&x).2, &gradient), 0.0);
}

/// Takes its argument, a result and the variables of `dense` several times.
fn recurrent(dense: &Dense, tape: &mut Tape, x: &Tensor) -> Result<Tensor> {
    let y = dense.forward(tape, x)?;
    let z = dense.forward(tape, &y)?;
    let opened = pointwise::sigmoid(tape, &z)?;
    let gated = pointwise::product(tape, &opened, &y)?;
    let skipped = pointwise::sum(tape, &gated, x)?;
    channels::concatenate(tape, &skipped, &z)
}

/// A layer with [`recurrent`], its variables, and what it takes.
fn shared() -> (Dense, [Var; 2], Var) {
    let (w, b) = (
        variable(&numbers(2, (4, 4))),
        variable(&(numbers(3, 4).abs().unwrap() + 0.5).unwrap()),
    );
    let dense = Dense::new(w.clone(), b.clone(), Activation::Relu);
    (dense, [w, b], variable(&numbers(1, (3, 4))))
}

#[test]
fn gradients_of_what_is_taken_several_times_are_added_up() {
    let (dense, [w, b], x) = shared();
    let layer = Of(|tape: &mut Tape, x: &Tensor| recurrent(&dense, tape, x));
    let error = worst_error(&x, &layer, &[&w, &b]);
    assert!(error < 1e-8, "{error}");
    let (_, mut tape) = differentiate(&x, &layer);
    for _ in 0..3 {
        let before = tape.gradient(&w).unwrap().copy().unwrap();
        tape.rewind();
        let y = layer.forward(&mut tape, &x).unwrap();
        tape.backward_from(&numbers(99, y.shape())).unwrap();
        let again = tape.gradient(&w).unwrap();
        assert_eq!(relative_distance(again, &before), 0.0, "nothing is left");
    }
}

#[test]
fn a_gradient_is_told_once_when_nothing_is_added_to_it_any_more() {
    let (dense, [w, b], x) = shared();
    let (last, last_w) = dense_behind();
    let x = x.as_detached_tensor();
    let mut tape = Tape::default();
    let y = recurrent(&dense, &mut tape, &x).unwrap();
    last.forward(&mut tape, &y).unwrap();
    let mut told = Vec::new();
    tape.backward_telling::<candle_core::Error>(&mut |variable, gradient| {
        told.push((variable.id(), gradient.copy()?));
        Ok(())
    })
    .unwrap();
    assert_eq!(told.len(), 4, "each variable once");
    assert_eq!(told[0].0, last_w.id(), "the last layer comes first");
    assert!(told[2..].iter().any(|(id, _)| *id == w.id()));
    for (variable, (_, gradient)) in [&w, &b].into_iter().zip(&told[2..]) {
        let end = tape.gradient(variable).unwrap();
        assert_eq!(relative_distance(gradient, end), 0.0, "it was final");
    }
    let told_w = told[2].1.clone();
    tape.backward().unwrap();
    let whole = tape.gradient(&w).unwrap();
    assert_eq!(relative_distance(&told_w, whole), 0.0);
}

fn dense_behind() -> (Dense, Var) {
    dense(7, (8, 2))
}

#[test]
fn a_gradient_that_would_be_lost_is_an_error() {
    let (x, (first, _), (second, _)) = (numbers(1, (2, 3)), dense(2, (3, 4)), dense(4, (4, 2)));
    let mut tape = Tape::default();
    let y = first.forward(&mut tape, &x).unwrap();
    // Done by candle: the tape does not know that it came from `y`.
    let unknown = (&y * 2.0).unwrap();
    second.forward(&mut tape, &unknown).unwrap();
    let error = tape.backward().unwrap_err().to_string();
    assert!(
        error.contains("no call takes the result of dense"),
        "{error}"
    );
}

#[test]
fn what_depends_on_no_variable_has_no_gradient_and_is_no_error() {
    let (first, w) = dense(2, (2, 4));
    let mut tape = Tape::default();
    let x = channels::select(&mut tape, &numbers(1, (2, 3)), 0..2).unwrap();
    channels::select(&mut tape, &numbers(1, (2, 3)), 1..3).unwrap();
    first.forward(&mut tape, &x).unwrap();
    tape.backward().unwrap();
    assert!(tape.gradient(&x).is_none());
    assert!(tape.gradient(&w).is_some());
}

#[test]
fn results_of_the_pass_before_and_one_tensor_twice_are_refused() {
    let (x, (first, w)) = (numbers(1, (2, 4)), dense(2, (4, 4)));
    let mut tape = Tape::default();
    let y = first.forward(&mut tape, &x).unwrap();
    let twice = pointwise::product(&mut tape, &y, &y).unwrap_err();
    assert!(twice.to_string().contains("one tensor twice"), "{twice}");
    tape.rewind();
    let stale = first.forward(&mut tape, &y).unwrap_err();
    assert!(stale.to_string().contains("the pass before"), "{stale}");
    tape.rewind();
    assert!(tape.backward().is_err(), "an empty tape");
    assert!(tape.gradient(&w).is_none());
}
