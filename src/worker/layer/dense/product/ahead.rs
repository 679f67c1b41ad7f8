//! What comes next is fetched into the second-level cache while the tile computes.
//!
//! The hardware does not foresee where a block of a wide matrix goes on. Addresses are hints: a wrong
//! one costs a line of cache, and nothing is read through them.

use super::super::super::simd::Vector;
use super::pack::Rows;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Lines of a matrix that are still to be fetched.
#[derive(Clone, Copy)]
pub struct Ahead<T> {
    row: *const T,
    stride: usize,
    rows: usize,
    columns: usize,
    column: usize,
}

impl<T> Ahead<T> {
    pub fn of(rows: Rows<T>) -> Self {
        Self {
            row: rows.numbers.as_ptr(),
            stride: rows.stride,
            rows: rows.rows,
            columns: rows.columns,
            column: 0,
        }
    }

    /// Fetches one more line.
    #[inline(always)]
    pub fn fetch<V: Vector<Element = T>>(&mut self) {
        if self.rows == 0 {
            return;
        }
        V::prefetch(self.row.wrapping_add(self.column));
        self.column += LINE / size_of::<T>();
        if self.column >= self.columns {
            self.column = 0;
            self.row = self.row.wrapping_add(self.stride);
            self.rows -= 1;
        }
    }
}
