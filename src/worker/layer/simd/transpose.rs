//! Matrices are transposed in squares of as many rows as a register has lanes. Each square is read and
//! written once, a register at a time.

use super::super::scalar::Scalar;
use super::{Kernel, Vector};

/// Copies number `(r, c)` of `from`, whose rows are `from_stride` apart, to `(c, r)` of `to`, whose rows
/// are `to_stride` apart.
pub struct Transpose<'a, T> {
    pub from: &'a [T],
    pub from_stride: usize,
    pub rows: usize,
    pub columns: usize,
    pub to: &'a mut [T],
    pub to_stride: usize,
}

impl<T: Scalar> Kernel<T> for Transpose<'_, T> {
    type Output = ();

    /// Panics where a row lies beyond its slice, or rows overlap.
    #[inline(always)]
    fn run<V: Vector<Element = T>>(mut self) {
        let end = |rows: usize, stride, columns| rows.saturating_sub(1) * stride + columns;
        let (rows, columns) = (self.rows, self.columns);
        assert!(
            end(rows, self.from_stride, columns) <= self.from.len(),
            "short source"
        );
        assert!(
            end(columns, self.to_stride, rows) <= self.to.len(),
            "short destination"
        );
        assert!(rows <= self.to_stride, "rows of the destination overlap");
        match V::LANES {
            4 => self.squares::<V, 4>(),
            8 => self.squares::<V, 8>(),
            16 => self.squares::<V, 16>(),
            lanes => panic!("no registers of {lanes} lanes are known"),
        }
    }
}

impl<T: Scalar> Transpose<'_, T> {
    #[inline(always)]
    fn squares<V: Vector<Element = T>, const N: usize>(&mut self) {
        for row in (0..self.rows).step_by(N) {
            for column in (0..self.columns).step_by(N) {
                self.square::<V, N>(row, column);
            }
        }
    }

    /// The square that begins at `row` and `column`, or what there is of it.
    #[inline(always)]
    fn square<V: Vector<Element = T>, const N: usize>(&mut self, row: usize, column: usize) {
        let (rows, columns) = (N.min(self.rows - row), N.min(self.columns - column));
        let mut square = [V::splat(T::zero()); N];
        // SAFETY: `run` has seen that all rows of both matrices lie within their slices.
        unsafe {
            let from = self.from.as_ptr().add(row * self.from_stride + column);
            for (r, lanes) in square.iter_mut().enumerate().take(rows) {
                let from = from.add(r * self.from_stride);
                *lanes = if columns == N {
                    V::load(from)
                } else {
                    V::load_first(from, columns)
                };
            }
            let square = transposed(square);
            let to = self.to.as_mut_ptr().add(column * self.to_stride + row);
            for (c, lanes) in square.into_iter().enumerate().take(columns) {
                let to = to.add(c * self.to_stride);
                if rows == N {
                    lanes.store(to)
                } else {
                    lanes.store_first(to, rows)
                }
            }
        }
    }
}

/// The columns of `N` registers of `N` lanes. Interleaving the registers of the upper half with those
/// of the lower half rotates the digits of all places, written as row and lane, by one; after as many
/// turns as a lane has digits, rows and lanes have changed places.
#[inline(always)]
fn transposed<V: Vector, const N: usize>(mut rows: [V; N]) -> [V; N] {
    for _ in 0..N.ilog2() {
        let before = rows;
        for i in 0..N / 2 {
            [rows[2 * i], rows[2 * i + 1]] = before[i].interleave(before[i + N / 2]);
        }
    }
    rows
}
