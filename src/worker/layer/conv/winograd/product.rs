//! Small products of matrices, computed in the registers of a processor.

use super::super::super::scalar::Scalar;
use super::super::super::simd::Vector;

/// Steps that are summed up in registers before they are added to `c`: the rounding errors of a long
/// sum grow with the number of its terms.
const STEPS: usize = 32;
/// Rows of a tile.
const ROWS: usize = 6;

/// `c = a · b`, or `c += a · b`. Rows of `b` and `c` are whole registers.
pub struct Product<'a, T> {
    /// `(rows, depth)`.
    pub a: &'a [T],
    /// From one row of `a` to the next, and from one column to the next.
    pub a_strides: [usize; 2],
    /// `(depth, width)`, one row after the other.
    pub b: &'a [T],
    /// `(rows, width)`, one row after the other.
    pub c: &'a mut [T],
    pub rows: usize,
    pub depth: usize,
    pub width: usize,
}

impl<T: Scalar> Product<'_, T> {
    /// Computes it, added to `c` if `add`.
    #[inline(always)]
    pub fn run<V: Vector<Element = T>>(self, add: bool) {
        assert!(self.rows > 0 && self.depth > 0 && self.width.is_multiple_of(V::LANES));
        let last = (self.rows - 1) * self.a_strides[0] + (self.depth - 1) * self.a_strides[1];
        assert!(last < self.a.len());
        assert!(self.depth * self.width <= self.b.len());
        assert!(self.rows * self.width <= self.c.len());
        for first in (0..self.depth).step_by(STEPS) {
            let tiles = Tiles {
                a: self.a[first * self.a_strides[1]..].as_ptr(),
                a_strides: self.a_strides,
                b: self.b[first * self.width..].as_ptr(),
                c: self.c.as_mut_ptr(),
                rows: self.rows,
                depth: STEPS.min(self.depth - first),
                width: self.width,
                add: add || first > 0,
            };
            // SAFETY: the lengths are checked above.
            unsafe { tiles.across::<V>() };
        }
    }
}

/// Some steps of a product, and the columns that are still to be computed.
struct Tiles<T> {
    a: *const T,
    a_strides: [usize; 2],
    b: *const T,
    c: *mut T,
    rows: usize,
    depth: usize,
    width: usize,
    /// Whether the sums are added to `c`.
    add: bool,
}

impl<T: Scalar> Tiles<T> {
    /// # Safety
    /// All matrices are as long as the sizes say.
    #[inline(always)]
    unsafe fn across<V: Vector<Element = T>>(mut self) {
        let mut columns = self.width / V::LANES;
        // SAFETY: the caller's; `columns` registers are left in each row.
        unsafe {
            if V::COLUMNS >= 4 {
                while columns >= 4 {
                    self.down::<V, 4>();
                    columns -= 4;
                }
            }
            while columns >= 2 {
                self.down::<V, 2>();
                columns -= 2;
            }
            if columns > 0 {
                self.down::<V, 1>();
            }
        }
    }

    /// Computes the first `C` registers of all rows and leaves the others.
    ///
    /// # Safety
    /// As [`across`](Self::across), and rows have `C` more registers.
    #[inline(always)]
    unsafe fn down<V: Vector<Element = T>, const C: usize>(&mut self) {
        for row in (0..self.rows).step_by(ROWS) {
            // SAFETY: the caller's; the rows are below `self.rows`.
            unsafe {
                match ROWS.min(self.rows - row) {
                    1 => self.tile::<V, C, 1>(row),
                    2 => self.tile::<V, C, 2>(row),
                    3 => self.tile::<V, C, 3>(row),
                    4 => self.tile::<V, C, 4>(row),
                    5 => self.tile::<V, C, 5>(row),
                    _ => self.tile::<V, C, 6>(row),
                }
            }
        }
        self.b = self.b.wrapping_add(C * V::LANES);
        self.c = self.c.wrapping_add(C * V::LANES);
    }

    /// Computes `R` rows from `row` on, `C` registers each.
    ///
    /// # Safety
    /// As [`down`](Self::down), and the product has the rows.
    #[inline(always)]
    unsafe fn tile<V, const C: usize, const R: usize>(&self, row: usize)
    where
        V: Vector<Element = T>,
    {
        let mut sums = [[V::splat(T::zero()); C]; R];
        // SAFETY: the caller's, for every access: rows are below `row + R`, steps below `depth`.
        unsafe {
            let mut a = self.a.add(row * self.a_strides[0]);
            let mut b = self.b;
            for _ in 0..self.depth {
                let mut factors = [V::splat(T::zero()); C];
                for j in 0..C {
                    factors[j] = V::load(b.add(j * V::LANES));
                }
                for r in 0..R {
                    let x = V::splat(*a.add(r * self.a_strides[0]));
                    for j in 0..C {
                        sums[r][j] = x.mul_add(factors[j], sums[r][j]);
                    }
                }
                a = a.wrapping_add(self.a_strides[1]);
                b = b.wrapping_add(self.width);
            }
            for r in 0..R {
                for j in 0..C {
                    let c = self.c.add((row + r) * self.width + j * V::LANES);
                    // Added last: the sums of many calls are rounded once a call, not once a step.
                    let sum = if self.add {
                        V::load(c).add(sums[r][j])
                    } else {
                        sums[r][j]
                    };
                    sum.store(c);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
