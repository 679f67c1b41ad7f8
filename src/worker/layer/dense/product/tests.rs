//! Every product at every level against plain loops in f64.

use super::*;
use crate::worker::layer::Activation;
use crate::worker::layer::scalar::Scalar;
use proptest::prelude::*;

/// Numbers from −1 to 1 without a pattern that a wrong index would hide in.
fn noise<T: Scalar>(length: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut number = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    };
    (0..length).map(|_| number()).collect()
}

/// `out[i, j] = Σ a(i, k) · b(k, j)` in f64.
fn product(
    [rows, depth, columns]: [usize; 3],
    a: impl Fn(usize, usize) -> f64,
    b: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let mut out = Vec::with_capacity(rows * columns);
    for i in 0..rows {
        for j in 0..columns {
            out.push((0..depth).map(|k| a(i, k) * b(k, j)).sum());
        }
    }
    out
}

/// The norm of the error, relative to the norm of what is expected.
fn error<T: Scalar>(ours: &[T], expected: &[f64]) -> f64 {
    assert_eq!(ours.len(), expected.len());
    let square = |x: f64| x * x;
    let difference: f64 = ours
        .iter()
        .zip(expected)
        .map(|(a, b)| square(a.to_f64() - b))
        .sum();
    let norm: f64 = expected.iter().copied().map(square).sum();
    (difference / norm.max(f64::MIN_POSITIVE)).sqrt()
}

/// The largest relative error of the three products.
fn worst<T: Scalar>(level: Level, sizes: Sizes, activation: Activation, decay: f64) -> f64 {
    let Sizes {
        batch,
        inputs,
        outputs,
    } = sizes;
    let (x, w) = (
        noise::<T>(batch * inputs, 1),
        noise::<T>(inputs * outputs, 2),
    );
    let (dy, b) = (noise::<T>(batch * outputs, 3), noise::<T>(outputs, 4));
    let at = |numbers: &[T], index: usize| numbers[index].to_f64();
    // What was there before must not matter.
    let nan = T::from_f64(f64::NAN);
    let mut room = vec![nan; 50];
    let product_of = Product::at(level, sizes);

    let mut y = vec![nan; batch * outputs];
    let layer = Affine {
        x: &x,
        weights: &w,
        biases: &b,
        activation,
    };
    product_of.forward(layer, &mut y, &mut room);
    let mut expected = product(
        [batch, inputs, outputs],
        |i, k| at(&x, i * inputs + k),
        |k, j| at(&w, k * outputs + j),
    );
    for (i, y) in expected.iter_mut().enumerate() {
        *y += at(&b, i % outputs);
        if activation == Activation::Relu {
            *y = y.max(0.0);
        }
    }
    let forward = error(&y, &expected);

    room.fill(nan);
    let mut dx = vec![nan; batch * inputs];
    product_of.input_gradient(&dy, &w, &mut dx, &mut room);
    let expected = product(
        [batch, outputs, inputs],
        |i, k| at(&dy, i * outputs + k),
        |k, j| at(&w, j * outputs + k),
    );
    let by_input = error(&dx, &expected);

    room.fill(nan);
    let mut dw = vec![nan; inputs * outputs];
    let of = Correlation {
        x: &x,
        dy: &dy,
        weights: &w,
        decay: T::from_f64(decay),
    };
    product_of.weight_gradient(of, &mut dw, &mut room);
    let mut expected = product(
        [inputs, batch, outputs],
        |i, k| at(&x, k * inputs + i),
        |k, j| at(&dy, k * outputs + j),
    );
    for (i, dw) in expected.iter_mut().enumerate() {
        *dw += decay * at(&w, i);
    }
    forward.max(by_input).max(error(&dw, &expected))
}

fn check(sizes: Sizes, activation: Activation, decay: f64) {
    for level in Level::available() {
        let single = worst::<f32>(level, sizes, activation, decay);
        assert!(single < 2e-6, "{level:?} {sizes:?}: {single} in f32");
        let double = worst::<f64>(level, sizes, activation, decay);
        assert!(double < 1e-13, "{level:?} {sizes:?}: {double} in f64");
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 40,
        failure_persistence: None,
        rng_seed: prop::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn small_products_follow_the_definition(
        batch in 1usize..80,
        inputs in 1usize..60,
        outputs in 1usize..150,
        relu: bool,
        decay in prop_oneof![Just(0.0), Just(0.25)],
    ) {
        let sizes = Sizes { batch, inputs, outputs };
        check(sizes, if relu { Activation::Relu } else { Activation::Identity }, decay);
    }
}

/// More than one block of inputs and of outputs, more than one task, tails everywhere.
#[test]
fn products_of_several_blocks_follow_the_definition() {
    for [batch, inputs, outputs] in [[13, 613, 141], [70, 109, 1061], [1, 300, 520]] {
        let sizes = Sizes {
            batch,
            inputs,
            outputs,
        };
        check(sizes, Activation::Relu, 0.0);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let sizes = Sizes {
        batch: 37,
        inputs: 401,
        outputs: 307,
    };
    let (x, w) = (noise::<f32>(37 * 401, 1), noise::<f32>(401 * 307, 2));
    let (dy, b) = (noise::<f32>(37 * 307, 3), noise::<f32>(307, 4));
    let results = [1, 2, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let (product, mut room) = (Product::new(sizes), Vec::new());
            let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), w.clone());
            let layer = Affine {
                x: &x,
                weights: &w,
                biases: &b,
                activation: Activation::Relu,
            };
            product.forward(layer, &mut y, &mut room);
            product.input_gradient(&dy, &w, &mut dx, &mut room);
            let of = Correlation {
                x: &x,
                dy: &dy,
                weights: &w,
                decay: 0.5,
            };
            product.weight_gradient(of, &mut dw, &mut room);
            [y, dx, dw]
        })
    });
    assert!(results.iter().all(|result| *result == results[0]));
}

/// Large gradients go past the caches where they lie at registers, and must not differ for that.
#[test]
fn large_gradients_are_the_same_wherever_they_lie() {
    let sizes = Sizes {
        batch: 3,
        inputs: 1030,
        outputs: 1072,
    };
    let (x, w) = (noise::<f32>(3 * 1030, 1), noise::<f32>(1030 * 1072, 2));
    let dy = noise::<f32>(3 * 1072, 3);
    let of = Correlation {
        x: &x,
        dy: &dy,
        weights: &w,
        decay: 0.5,
    };
    let mut expected = product(
        [1030, 3, 1072],
        |i, k| f64::from(x[k * 1030 + i]),
        |k, j| f64::from(dy[k * 1072 + j]),
    );
    for (dw, w) in expected.iter_mut().zip(&w) {
        *dw += 0.5 * f64::from(*w);
    }
    for level in Level::available() {
        let results = [0, 1].map(|shift| {
            let mut dw = vec![f32::NAN; w.len() + 32];
            let start = dw.as_ptr().align_offset(64) + shift;
            let dw = &mut dw[start..start + w.len()];
            Product::at(level, sizes).weight_gradient(of, dw, &mut Vec::new());
            dw.to_vec()
        });
        assert!(error(&results[0], &expected) < 2e-7, "{level:?}");
        assert!(results[0] == results[1], "{level:?}");
    }
}

#[test]
#[should_panic(expected = "weights")]
fn slices_of_another_length_are_refused() {
    let sizes = Sizes {
        batch: 2,
        inputs: 3,
        outputs: 4,
    };
    Product::new(sizes).input_gradient(&[0.0; 8], &[0.0; 11], &mut [0.0; 6], &mut Vec::new());
}
