//! One step of an update rule on a chunk of numbers. All arrays are read and written once, a register
//! at a time, which is all that it costs: updates are bound by the memory. Knows neither schedules
//! nor who else has chunks.

use super::Config;
use crate::terms::OptimizerName;
use crate::worker::layer::simd::{self, Kernel, Vector};

/// Adam's constants, TensorFlow's defaults (Kingma, Ba 2015).
const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Exponential averages approach this decay as steps go by.
const AVERAGE_DECAY: f64 = 0.9999;

/// Numbers from one that is updated to those that are fetched meanwhile: a page, since the hardware
/// fetches no line of the next one.
const AHEAD: usize = 4096 / size_of::<f32>();

/// Some neighbouring numbers of every array of a piece; empty where the rule keeps none.
pub struct Chunk<'a> {
    pub weights: &'a mut [f32],
    pub gradient: &'a [f32],
    pub mean: &'a mut [f32],
    pub square: &'a mut [f32],
    pub average: &'a mut [f32],
}

/// One step, the same for all numbers.
#[derive(Clone, Copy)]
pub struct Update {
    rule: OptimizerName,
    /// With Adam's correction for the bias of young moments.
    learning_rate: f32,
    /// By how much averages move towards the weights.
    average_rate: f32,
}

impl Update {
    /// `steps` are those before this one.
    pub fn of(config: &Config, steps: u64) -> Self {
        let stairs = config
            .decay
            .map_or(1.0, |decay| decay.factor.powf((steps / decay.steps) as f64));
        let now = (steps + 1) as f64;
        let correction = match config.rule {
            OptimizerName::Sgd => 1.0,
            OptimizerName::Adam => {
                let (b1, b2) = (f64::from(BETA1), f64::from(BETA2));
                (1.0 - b2.powf(now)).sqrt() / (1.0 - b1.powf(now))
            }
        };
        Self {
            rule: config.rule,
            learning_rate: (config.learning_rate * stairs * correction) as f32,
            average_rate: (1.0 - AVERAGE_DECAY.min((1.0 + now) / (10.0 + now))) as f32,
        }
    }

    /// Panics where arrays of the chunk differ in length, and are not empty for want of use.
    pub fn apply(self, chunk: Chunk) {
        simd::run(Apply {
            update: self,
            chunk,
        });
    }
}

struct Apply<'a> {
    update: Update,
    chunk: Chunk<'a>,
}

impl Kernel<f32> for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(self) {
        match (self.update.rule, self.chunk.average.is_empty()) {
            (OptimizerName::Sgd, true) => self.each::<V, false, false>(),
            (OptimizerName::Sgd, false) => self.each::<V, false, true>(),
            (OptimizerName::Adam, true) => self.each::<V, true, false>(),
            (OptimizerName::Adam, false) => self.each::<V, true, true>(),
        }
    }
}

impl Apply<'_> {
    /// Updates all numbers of the chunk.
    #[inline(always)]
    fn each<V: Vector<Element = f32>, const ADAM: bool, const AVERAGE: bool>(mut self) {
        let length = self.chunk.weights.len();
        assert_eq!(self.chunk.gradient.len(), length, "gradients");
        if ADAM {
            assert_eq!(self.chunk.mean.len(), length, "means");
            assert_eq!(self.chunk.square.len(), length, "squares");
        }
        if AVERAGE {
            assert_eq!(self.chunk.average.len(), length, "averages");
        }
        let whole = length - length % V::LANES;
        for at in (0..whole).step_by(V::LANES) {
            self.fetch::<V>(at + AHEAD);
            self.registers::<V, ADAM, AVERAGE>(at, V::LANES);
        }
        if whole < length {
            self.registers::<V, ADAM, AVERAGE>(whole, length - whole);
        }
    }

    /// Fetches the lines of number `at`, which may lie beyond the chunk: addresses are hints.
    #[inline(always)]
    fn fetch<V: Vector<Element = f32>>(&self, at: usize) {
        V::prefetch(self.chunk.gradient.as_ptr().wrapping_add(at));
        V::prefetch(self.chunk.mean.as_ptr().wrapping_add(at));
        V::prefetch(self.chunk.square.as_ptr().wrapping_add(at));
        V::prefetch(self.chunk.weights.as_ptr().wrapping_add(at));
        V::prefetch(self.chunk.average.as_ptr().wrapping_add(at));
    }

    /// Updates `count` numbers from `at` on, at most a register of them. All arrays may lie at the
    /// same place of a page; a load that follows a store to such a place waits for it.
    #[inline(always)]
    fn registers<V: Vector<Element = f32>, const ADAM: bool, const AVERAGE: bool>(
        &mut self,
        at: usize,
        count: usize,
    ) {
        let Update {
            learning_rate,
            average_rate,
            ..
        } = self.update;
        let gradient: V = load(self.chunk.gradient, at, count);
        let weights: V = load(self.chunk.weights, at, count);
        let step = if ADAM {
            let mean: V = load(self.chunk.mean, at, count);
            let square: V = load(self.chunk.square, at, count);
            let mean = approach(mean, gradient, 1.0 - BETA1);
            let square = approach(square, gradient.mul(gradient), 1.0 - BETA2);
            store(mean, self.chunk.mean, at, count);
            store(square, self.chunk.square, at, count);
            mean.div(square.square_root().add(V::splat(EPSILON)))
        } else {
            gradient
        };
        let weights = step.mul_add(V::splat(-learning_rate), weights);
        store(weights, self.chunk.weights, at, count);
        if AVERAGE {
            let average = load(self.chunk.average, at, count);
            let average = approach(average, weights, average_rate);
            store(average, self.chunk.average, at, count);
        }
    }
}

/// `from + rate · (to − from)`
#[inline(always)]
fn approach<V: Vector<Element = f32>>(from: V, to: V, rate: f32) -> V {
    to.sub(from).mul_add(V::splat(rate), from)
}

#[inline(always)]
fn load<V: Vector<Element = f32>>(from: &[f32], at: usize, count: usize) -> V {
    debug_assert!(at + count <= from.len());
    // SAFETY: `each` has seen that the arrays in use are equally long, and stays within them.
    unsafe {
        let from = from.as_ptr().add(at);
        if count == V::LANES {
            V::load(from)
        } else {
            V::load_first(from, count)
        }
    }
}

#[inline(always)]
fn store<V: Vector<Element = f32>>(register: V, to: &mut [f32], at: usize, count: usize) {
    debug_assert!(at + count <= to.len());
    // SAFETY: as in `load`.
    unsafe {
        let to = to.as_mut_ptr().add(at);
        if count == V::LANES {
            register.store(to);
        } else {
            register.store_first(to, count);
        }
    }
}
