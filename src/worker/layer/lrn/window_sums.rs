//! Sums over windows of neighbouring numbers in rows.
//!
//! In: rows of terms, register by register; out: for each term the sum of those at most `radius` away
//! from it in its row. Where three divides the window, it is made of sums of three. Knows nothing of
//! what the terms are.

use super::super::scalar::Scalar;
use super::super::simd::Vector;

/// Bytes that registers are aligned to, so that as few as possible lie in two cache lines.
const ALIGNMENT: usize = 64;

/// Terms of a few rows, all set before the first sum is taken: a load that spans two stores waits until
/// both have left the store buffer.
pub struct WindowSums<T> {
    rows: usize,
    /// From one row to the next.
    stride: usize,
    radius: usize,
    /// Each row has `radius` zeros in front and at least as many behind.
    terms: Room<T>,
    /// Each term and the two behind it, where three divides the window.
    threes: Room<T>,
}

/// Numbers that start aligned.
struct Room<T> {
    start: *mut T,
    _numbers: Vec<T>,
}

impl<T: Scalar> Room<T> {
    fn new(length: usize) -> Self {
        let mut numbers = vec![T::zero(); length + ALIGNMENT / size_of::<T>()];
        let offset = numbers.as_ptr().align_offset(ALIGNMENT);
        Self {
            // SAFETY: the numbers are aligned as such, so that the offset is at most what was added.
            start: unsafe { numbers.as_mut_ptr().add(offset) },
            _numbers: numbers,
        }
    }
}

impl<T: Scalar> WindowSums<T> {
    /// Room for `rows` rows of `width` numbers in registers of `V`.
    #[inline(always)]
    pub fn new<V: Vector<Element = T>>(rows: usize, width: usize, radius: usize) -> Self {
        let stride = (width + 2 * radius).next_multiple_of(V::LANES);
        // Windows of the last register reach behind the last row.
        let length = rows * stride + V::LANES + 2 * radius;
        Self {
            rows,
            stride,
            radius,
            terms: Room::new(length),
            threes: Room::new(length),
        }
    }

    /// Where the terms of a row go, in registers of which one may reach behind the row's end. Lanes
    /// behind it are zero.
    #[inline(always)]
    pub fn terms(&mut self, row: usize) -> *mut T {
        assert!(row < self.rows);
        // SAFETY: the row is there.
        unsafe { self.terms.start.add(row * self.stride + self.radius) }
    }

    /// Comes between the last term and the first sum.
    #[inline(always)]
    pub fn prepare<V: Vector<Element = T>>(&mut self) {
        if !(2 * self.radius + 1).is_multiple_of(3) {
            return;
        }
        for at in (0..self.rows * self.stride).step_by(V::LANES) {
            // SAFETY: both have room for all rows, and a register more can be read.
            unsafe {
                let sum: V = sum_shifted(self.terms.start.add(at), 3, 1);
                sum.store(self.threes.start.add(at));
            }
        }
    }

    /// The sums of the windows around a register of numbers from `c` on.
    ///
    /// # Safety
    /// The row is there, and `c` is within its width.
    #[inline(always)]
    pub unsafe fn sum<V: Vector<Element = T>>(&self, row: usize, c: usize) -> V {
        let width = 2 * self.radius + 1;
        let at = row * self.stride + c;
        // SAFETY: a window behind the last register can be read from both.
        unsafe {
            if width.is_multiple_of(3) {
                sum_shifted(self.threes.start.add(at), width / 3, 3)
            } else {
                sum_shifted(self.terms.start.add(at), width, 1)
            }
        }
    }
}

/// The sum of `count` registers that each start `step` numbers behind the one before.
///
/// # Safety
/// They can be read.
#[inline(always)]
unsafe fn sum_shifted<V: Vector>(from: *const V::Element, count: usize, step: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = V::load(from);
        for i in 1..count {
            sum = sum.add(V::load(from.add(i * step)));
        }
        sum
    }
}
