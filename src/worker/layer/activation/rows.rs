//! Biases, the function behind them and the gradients of both, for rows of `channels` numbers.
//!
//! In and out: slices of whole rows, on the calling thread, at the width of the processor. The
//! gradient of the biases comes with the pass that makes the gradient before them. Where the
//! rectifier follows a maximum, the place of the maximum says what passes: [`NOWHERE`] does not.

use super::super::max_pool::windows::NOWHERE;
use super::super::scalar::Scalar;
use super::super::simd::{Kernel, Level, Vector, for_registers};
use super::Activation;

impl Activation {
    /// Adds `biases` to each row, then applies the function.
    pub fn add_biases<T: Scalar>(self, level: Level, rows: &mut [T], biases: &[T]) {
        assert_eq!(rows.len() % biases.len(), 0);
        level.run(AddBiases {
            floor: self.floor(),
            rows,
            biases,
            places: None,
        });
    }

    /// The same for maxima of windows, and sets the places of those to `NOWHERE` that the rectifier
    /// stops. Gives what comes out where the function is applied before the maximum is taken, since
    /// it never falls.
    pub fn add_biases_to_maxima<T: Scalar>(
        self,
        level: Level,
        maxima: &mut [T],
        places: &mut [u8],
        biases: &[T],
    ) {
        assert_eq!(maxima.len() % biases.len(), 0);
        assert_eq!(places.len(), maxima.len());
        level.run(AddBiases {
            floor: self.floor(),
            rows: maxima,
            biases,
            places: (self == Self::Relu).then_some(places),
        });
    }

    /// The function is the larger of this and its argument.
    fn floor<T: Scalar>(self) -> T {
        match self {
            Self::Identity => T::from_f64(f64::NEG_INFINITY),
            Self::Relu => T::zero(),
        }
    }
}

/// Overwrites `out` with `dy` where the rectifier's result `y` is positive, else with 0. Adds the rows
/// of `out` to `sums`.
pub fn rectify_gradient<T: Scalar>(level: Level, y: &[T], dy: &[T], out: &mut [T], sums: &mut [T]) {
    assert_eq!((y.len(), out.len()), (dy.len(), dy.len()));
    let out = out.as_mut_ptr();
    add_gated(level, Rectified { y, out }, dy, sums);
}

/// Adds the rows to `sums`.
pub fn add_rows<T: Scalar>(level: Level, rows: &[T], sums: &mut [T]) {
    add_gated(level, Open, rows, sums);
}

/// Adds the rows of `dy` to `sums`, without the numbers whose place is [`NOWHERE`].
pub fn add_passed<T: Scalar>(level: Level, dy: &[T], places: &[u8], sums: &mut [T]) {
    assert_eq!(places.len(), dy.len());
    add_gated(level, Placed(places), dy, sums);
}

struct AddBiases<'a, T> {
    floor: T,
    rows: &'a mut [T],
    biases: &'a [T],
    places: Option<&'a mut [u8]>,
}

impl<T: Scalar> Kernel<T> for AddBiases<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(mut self) {
        let channels = self.biases.len();
        let floor = V::splat(self.floor);
        for start in (0..self.rows.len()).step_by(channels) {
            for_registers!(V, channels, |c, count| {
                // SAFETY: `count` numbers from `c` on are channels of a row and of the biases; there
                // are as many places as numbers.
                unsafe {
                    let row = self.rows.as_mut_ptr().add(start + c);
                    let biases = V::load_first(self.biases.as_ptr().add(c), count);
                    // In this order, what is not a number stays.
                    let y = floor.max(V::load_first(row, count).add(biases));
                    y.store_first(row, count);
                    if let Some(places) = &mut self.places {
                        let places = places.as_mut_ptr().add(start + c);
                        let found = V::load_first_bytes(places, count);
                        let nowhere = V::splat(T::from_byte(NOWHERE));
                        found
                            .select(y.greater(floor), nowhere)
                            .store_first_bytes(places, count);
                    }
                }
            });
        }
    }
}

/// What of a gradient passes.
trait Gate<T> {
    /// What of `count` numbers of the gradient from `at` on passes.
    ///
    /// # Safety
    /// The gradient has them.
    unsafe fn pass<V: Vector<Element = T>>(&self, at: usize, count: usize, dy: V) -> V;
}

struct Open;

impl<T: Scalar> Gate<T> for Open {
    #[inline(always)]
    unsafe fn pass<V: Vector<Element = T>>(&self, _: usize, _: usize, dy: V) -> V {
        dy
    }
}

/// Writes to `out` what passes. Both are as long as the gradient.
struct Rectified<'a, T> {
    y: &'a [T],
    out: *mut T,
}

impl<T: Scalar> Gate<T> for Rectified<'_, T> {
    #[inline(always)]
    unsafe fn pass<V: Vector<Element = T>>(&self, at: usize, count: usize, dy: V) -> V {
        let zero = V::splat(T::zero());
        // SAFETY: `y` and `out` are as long as the gradient.
        unsafe {
            let y = V::load_first(self.y.as_ptr().add(at), count);
            let passed = dy.select(y.greater(zero), zero);
            passed.store_first(self.out.add(at), count);
            passed
        }
    }
}

/// As many places as the gradient has numbers.
struct Placed<'a>(&'a [u8]);

impl<T: Scalar> Gate<T> for Placed<'_> {
    #[inline(always)]
    unsafe fn pass<V: Vector<Element = T>>(&self, at: usize, count: usize, dy: V) -> V {
        let (zero, nowhere) = (V::splat(T::zero()), V::splat(T::from_byte(NOWHERE)));
        // SAFETY: there are as many places as numbers.
        let places = unsafe { V::load_first_bytes(self.0.as_ptr().add(at), count) };
        zero.select(places.equal(nowhere), dy)
    }
}

/// Adds the rows of what passes `gate` to `sums`.
fn add_gated<T: Scalar, G: Gate<T>>(level: Level, gate: G, dy: &[T], sums: &mut [T]) {
    assert_eq!(dy.len() % sums.len(), 0);
    level.run(AddGated { gate, dy, sums });
}

/// Rows that are added in registers before their sum goes to memory.
const ROWS: usize = 8;

struct AddGated<'a, T, G> {
    gate: G,
    dy: &'a [T],
    sums: &'a mut [T],
}

impl<T: Scalar, G: Gate<T>> Kernel<T> for AddGated<'_, T, G> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        let channels = self.sums.len();
        for start in (0..self.dy.len()).step_by(ROWS * channels) {
            let end = self.dy.len().min(start + ROWS * channels);
            for_registers!(V, channels, |c, count| {
                // SAFETY: `count` numbers from `c` on are channels of a row and of the sums.
                unsafe {
                    let sums = self.sums.as_mut_ptr().add(c);
                    let mut sum = V::load_first(sums, count);
                    for row in (start..end).step_by(channels) {
                        let dy = V::load_first(self.dy.as_ptr().add(row + c), count);
                        sum = sum.add(self.gate.pass(row + c, count, dy));
                    }
                    sum.store_first(sums, count);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
