//! Sums of products in registers: a few rows by a few registers.
//!
//! In: where numbers of the left factor and rows of the right factor lie. Out: sums in memory.
//! Knows neither images nor kernels; the caller knows that the pointers are good.

use super::super::super::simd::Vector;
use std::ops::Range;

/// Most rows of a tile; see [`Vector::COLUMNS`].
pub const ROWS: usize = 6;

/// Sums: [`ROWS`] rows of `C` registers.
#[derive(Clone, Copy)]
pub struct Tile<V, const C: usize>([[V; C]; ROWS]);

/// Numbers at `from + line · lines + step · steps`, for as many lines and steps as the other factor.
#[derive(Clone, Copy)]
pub struct Factor<T> {
    pub from: *const T,
    pub line: usize,
    pub step: usize,
}

/// Products of a column of numbers, `row` apart, and a row of registers, for each step of each line.
#[derive(Clone, Copy)]
pub struct Products<T> {
    pub lines: usize,
    pub steps: usize,
    pub left: Factor<T>,
    pub row: usize,
    pub right: Factor<T>,
}

/// Calls `add_rows` with the range as constants, so that each row has its registers.
macro_rules! with_constant_range {
    ($tile:ident, $range:ident, $products:ident: $($from:literal..$to:literal)*) => {
        match ($range.start, $range.end) {
            // SAFETY: the caller's.
            $(($from, $to) => unsafe { $tile.add_rows::<$from, $to>($products) },)*
            _ => unreachable!("not a range of rows of a tile"),
        }
    };
}

impl<V: Vector, const C: usize> Tile<V, C> {
    #[inline(always)]
    pub fn zero() -> Self {
        Self([[V::splat(V::Element::default()); C]; ROWS])
    }

    /// Adds the products to the rows of `range`, of which the first takes the first number.
    ///
    /// # Safety
    /// All numbers and all rows of `C` registers of the products can be read.
    #[inline(always)]
    pub unsafe fn add(&mut self, range: &Range<usize>, products: Products<V::Element>) {
        with_constant_range!(self, range, products:
            0..1 0..2 0..3 0..4 0..5 0..6
            1..2 1..3 1..4 1..5 1..6
            2..3 2..4 2..5 2..6
            3..4 3..5 3..6
            4..5 4..6
            5..6)
    }

    /// [`add`](Self::add) to the rows from `FROM` to `TO`, two steps between jumps: half the steps of
    /// counting, which take the places of products.
    ///
    /// # Safety
    /// As for [`add`](Self::add).
    #[inline(always)]
    unsafe fn add_rows<const FROM: usize, const TO: usize>(&mut self, p: Products<V::Element>) {
        // Ranges that begin with the first row are most of the work; the others only cost code.
        let at_once = if FROM == 0 { 2 } else { 1 };
        let mut sums = *self;
        for line in 0..p.lines {
            let mut left = p.left.from.wrapping_add(line * p.left.line);
            let mut right = p.right.from.wrapping_add(line * p.right.line);
            for _ in 0..p.steps / at_once {
                for _ in 0..at_once {
                    // SAFETY: the caller promises all numbers of each step.
                    unsafe { sums.step::<FROM, TO>(left, p.row, right) };
                    left = left.wrapping_add(p.left.step);
                    right = right.wrapping_add(p.right.step);
                }
            }
            for _ in 0..p.steps % at_once {
                // SAFETY: the same.
                unsafe { sums.step::<FROM, TO>(left, p.row, right) };
                left = left.wrapping_add(p.left.step);
                right = right.wrapping_add(p.right.step);
            }
        }
        *self = sums;
    }

    /// One number for each row from `FROM` to `TO`, `row` apart, times `C` registers.
    ///
    /// # Safety
    /// They can be read.
    #[expect(
        clippy::needless_range_loop,
        reason = "iterators are not inlined for sure"
    )]
    #[inline(always)]
    unsafe fn step<const FROM: usize, const TO: usize>(
        &mut self,
        left: *const V::Element,
        row: usize,
        right: *const V::Element,
    ) {
        let mut registers = [V::splat(V::Element::default()); C];
        for column in 0..C {
            // SAFETY: the caller promises `C` registers.
            registers[column] = unsafe { V::load(right.add(column * V::LANES)) };
        }
        for i in FROM..TO {
            // SAFETY: the caller promises `TO - FROM` numbers.
            let number = V::splat(unsafe { *left.add((i - FROM) * row) });
            for column in 0..C {
                self.0[i][column] = number.mul_add(registers[column], self.0[i][column]);
            }
        }
    }

    /// Writes the first `rows` rows, `row` numbers apart, or adds them to what is there. Of the last
    /// register only `last` numbers.
    ///
    /// # Safety
    /// They can be written, and read to be added to.
    #[inline(always)]
    pub unsafe fn store<const ADD: bool>(
        &self,
        to: *mut V::Element,
        rows: usize,
        row: usize,
        last: usize,
    ) {
        for i in 0..ROWS {
            if i >= rows {
                break;
            }
            for column in 0..C {
                let count = if column + 1 < C { V::LANES } else { last };
                // SAFETY: the caller's promise.
                unsafe {
                    let to = to.add(i * row + column * V::LANES);
                    let mut sum = self.0[i][column];
                    if ADD {
                        sum = sum.add(V::load_first(to, count));
                    }
                    sum.store_first(to, count);
                }
            }
        }
    }
}
