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

/// Arguments of the three products, and room with something in it, which must not matter.
struct Case<T> {
    product: Product,
    x: Vec<T>,
    w: Vec<T>,
    b: Vec<T>,
    dy: Vec<T>,
    room: Vec<T>,
}

impl<T: Scalar> Case<T> {
    fn new(level: Level, sizes: Sizes) -> Self {
        let Sizes {
            batch,
            inputs,
            outputs,
        } = sizes;
        Self {
            product: Product::at(level, sizes),
            x: noise(batch * inputs, 1),
            w: noise(inputs * outputs, 2),
            b: noise(outputs, 4),
            dy: noise(batch * outputs, 3),
            room: nans(50),
        }
    }

    /// Of a batch, of its inputs and of its outputs.
    fn sizes(&self) -> [usize; 3] {
        let sizes = self.product.sizes;
        [sizes.batch, sizes.inputs, sizes.outputs]
    }

    fn forward_error(&mut self, activation: Activation) -> f64 {
        let [batch, inputs, outputs] = self.sizes();
        let mut y = nans(batch * outputs);
        let layer = Affine {
            x: &self.x,
            weights: &self.w,
            biases: &self.b,
            activation,
        };
        self.product.forward(layer, &mut y, &mut self.room);
        let mut expected = product(
            [batch, inputs, outputs],
            |i, k| self.x[i * inputs + k].to_f64(),
            |k, j| self.w[k * outputs + j].to_f64(),
        );
        for (i, y) in expected.iter_mut().enumerate() {
            *y += self.b[i % outputs].to_f64();
            if activation == Activation::Relu {
                *y = y.max(0.0);
            }
        }
        error(&y, &expected)
    }

    fn input_gradient_error(&mut self) -> f64 {
        let [batch, inputs, outputs] = self.sizes();
        let mut dx = nans(batch * inputs);
        self.product
            .input_gradient(&self.dy, &self.w, &mut dx, &mut self.room);
        let expected = product(
            [batch, outputs, inputs],
            |i, k| self.dy[i * outputs + k].to_f64(),
            |k, j| self.w[j * outputs + k].to_f64(),
        );
        error(&dx, &expected)
    }

    fn weight_gradient_error(&mut self, decay: f64) -> f64 {
        let [batch, inputs, outputs] = self.sizes();
        let mut dw = nans(inputs * outputs);
        let of = Correlation {
            x: &self.x,
            dy: &self.dy,
            weights: &self.w,
            decay: T::from_f64(decay),
        };
        self.product.weight_gradient(of, &mut dw, &mut self.room);
        let mut expected = product(
            [inputs, batch, outputs],
            |i, k| self.x[k * inputs + i].to_f64(),
            |k, j| self.dy[k * outputs + j].to_f64(),
        );
        for (dw, w) in expected.iter_mut().zip(&self.w) {
            *dw += decay * w.to_f64();
        }
        error(&dw, &expected)
    }
}

fn nans<T: Scalar>(length: usize) -> Vec<T> {
    vec![T::from_f64(f64::NAN); length]
}

/// The largest relative error of the three products.
fn worst<T: Scalar>(level: Level, sizes: Sizes, activation: Activation, decay: f64) -> f64 {
    let mut case = Case::<T>::new(level, sizes);
    let forward = case.forward_error(activation);
    case.room.fill(T::from_f64(f64::NAN));
    let by_input = case.input_gradient_error();
    case.room.fill(T::from_f64(f64::NAN));
    forward.max(by_input).max(case.weight_gradient_error(decay))
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
