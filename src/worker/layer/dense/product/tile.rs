//! The register tile: a few rows of one factor by a packed panel of the other.
//!
//! Six rows of as many registers as a panel is wide are summed without a store. Of each row of the
//! panel every register is loaded once and meets six numbers of the left factor.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector, with_columns};
use super::ahead::Ahead;
use super::pack::Rows;

/// Rows of the tile. Those that remain take a lower one.
pub const ROWS: usize = 6;

/// Steps between two tests for the end: what counts and compares takes turns from the arithmetic.
const UNROLLED: usize = 4;

/// What the product is added to.
#[derive(Clone, Copy)]
pub enum Start<'a, T> {
    Zero,
    /// What the destination holds.
    Sums,
    /// A multiple of numbers that lie as those of the destination do.
    Scaled(T, &'a [T]),
}

/// The product of some rows and one panel.
pub struct Multiply<'a, T> {
    /// As many columns as the panel has rows.
    pub left: Rows<'a, T>,
    pub panel: &'a [T],
    /// Rows of the product, `stride` apart.
    pub to: &'a mut [T],
    pub stride: usize,
    /// Columns of the product, which fill the panel but for a part of its last register.
    pub columns: usize,
    pub start: Start<'a, T>,
    /// Whether the product goes past the caches, if it lies where it can.
    pub streamed: bool,
    /// What is fetched meanwhile.
    pub ahead: &'a mut Ahead<T>,
}

impl<T: Scalar> Kernel<T> for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(mut self) {
        let registers = self.columns.div_ceil(V::LANES);
        self.check(registers * V::LANES);
        self.streamed &= self.lies_at_registers(V::LANES);
        with_columns!(V, registers, |C| self.rows::<V, C>());
        if self.streamed {
            V::fence();
        }
    }
}

impl<T: Scalar> Multiply<'_, T> {
    /// Panics unless all that the tile touches lies within the slices.
    fn check(&self, width: usize) {
        self.left.check();
        assert!(
            self.left.rows > 0 && self.columns > 0,
            "nothing to multiply"
        );
        assert!(self.panel.len() >= self.left.columns * width, "short panel");
        let end = (self.left.rows - 1) * self.stride + self.columns;
        assert!(self.to.len() >= end, "product beyond its slice");
        if let Start::Scaled(_, numbers) = self.start {
            assert!(numbers.len() >= end, "start beyond its slice");
        }
    }

    /// Whether each row of the product starts at a multiple of the register's size.
    fn lies_at_registers(&self, lanes: usize) -> bool {
        let start = self.to.as_ptr().addr() / size_of::<T>();
        start.is_multiple_of(lanes) && self.stride.is_multiple_of(lanes)
    }

    #[inline(always)]
    fn rows<V: Vector<Element = T>, const C: usize>(&mut self) {
        let rows = self.left.rows;
        for row in (0..rows).step_by(ROWS) {
            match rows - row {
                1 => self.tile::<V, 1, C>(row),
                2 => self.tile::<V, 2, C>(row),
                3 => self.tile::<V, 3, C>(row),
                4 => self.tile::<V, 4, C>(row),
                5 => self.tile::<V, 5, C>(row),
                _ => self.tile::<V, ROWS, C>(row),
            }
        }
    }

    /// `R` rows from `row` on.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "arrays of a tile are unrolled")]
    fn tile<V: Vector<Element = T>, const R: usize, const C: usize>(&mut self, row: usize) {
        let factors = Factors {
            left: self
                .left
                .numbers
                .as_ptr()
                .wrapping_add(row * self.left.stride),
            stride: self.left.stride,
            right: self.panel.as_ptr(),
        };
        let depth = self.left.columns;
        let whole = depth - depth % UNROLLED;
        let mut ahead = *self.ahead;
        let mut sums = [[V::splat(T::zero()); C]; R];
        for first in (0..whole).step_by(UNROLLED) {
            ahead.fetch::<V>();
            for step in 0..UNROLLED {
                // SAFETY: `check` has seen that the rows from `row` on, of which there are `R`, have
                // `depth` numbers, and that the panel has as many rows of `C` registers.
                sums = unsafe { factors.add_outer(first + step, sums) };
            }
        }
        for k in whole..depth {
            // SAFETY: the same.
            sums = unsafe { factors.add_outer(k, sums) };
        }
        *self.ahead = ahead;
        for i in 0..R {
            for j in 0..C {
                self.store((row + i) * self.stride + j * V::LANES, j, sums[i][j]);
            }
        }
    }

    /// Puts column `j` of registers at `at` of the destination.
    #[inline(always)]
    fn store<V: Vector<Element = T>>(&mut self, at: usize, j: usize, sum: V) {
        let count = V::LANES.min(self.columns - j * V::LANES);
        // SAFETY: `check` has seen that the destination, and what is added, have a row of `columns`
        // numbers here, of which `count` lie in this register. Streamed products lie at registers.
        unsafe {
            let to = self.to.as_mut_ptr().add(at);
            let sum = match self.start {
                Start::Zero => sum,
                Start::Sums => load::<V>(to, count).add(sum),
                Start::Scaled(factor, numbers) => {
                    let number = load::<V>(numbers.as_ptr().add(at), count);
                    number.mul_add(V::splat(factor), sum)
                }
            };
            if count < V::LANES {
                sum.store_first(to, count);
            } else if self.streamed {
                sum.stream(to);
            } else {
                sum.store(to);
            }
        }
    }
}

/// Where a tile reads. Apart from [`Multiply`], so that all of it stays in registers.
#[derive(Clone, Copy)]
struct Factors<T> {
    left: *const T,
    stride: usize,
    right: *const T,
}

impl<T: Scalar> Factors<T> {
    /// Adds the product of column `k` of the left factor and row `k` of the panel.
    ///
    /// # Safety
    /// `R` rows of more than `k` numbers can be read on the left, and more than `k` rows of `C`
    /// registers on the right.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "arrays of a tile are unrolled")]
    unsafe fn add_outer<V: Vector<Element = T>, const R: usize, const C: usize>(
        self,
        k: usize,
        mut sums: [[V; C]; R],
    ) -> [[V; C]; R] {
        // SAFETY: as promised.
        unsafe {
            let right = self.right.add(k * C * V::LANES);
            let mut b = [V::splat(T::zero()); C];
            for j in 0..C {
                b[j] = V::load(right.add(j * V::LANES));
            }
            for i in 0..R {
                let a = V::splat(*self.left.add(i * self.stride + k));
                for j in 0..C {
                    sums[i][j] = a.mul_add(b[j], sums[i][j]);
                }
            }
        }
        sums
    }
}

/// # Safety
/// `count` numbers can be read, at most a register's.
#[inline(always)]
unsafe fn load<V: Vector>(from: *const V::Element, count: usize) -> V {
    // SAFETY: as promised.
    unsafe {
        if count == V::LANES {
            V::load(from)
        } else {
            V::load_first(from, count)
        }
    }
}
