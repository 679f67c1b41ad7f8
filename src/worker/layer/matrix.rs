//! Products of matrices that lie in slices. The one place that calls the `gemm` crate.

use super::scalar::Scalar;
use gemm::Parallelism;

/// A matrix in a borrowed slice, row by row, or the transpose of one.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// What a product does with what its destination holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    Overwrite,
    Add,
}

impl<'a, T> Matrix<'a, T> {
    /// `data` as rows of `columns` numbers. Panics unless it is a whole number of rows.
    pub fn rows_of(columns: usize, data: &'a [T]) -> Self {
        assert!(data.len().is_multiple_of(columns), "ragged matrix");
        Self {
            data,
            rows: data.len() / columns,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// The transpose: the same numbers, read the other way.
    pub fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Puts `a · b` into `out`, row by row, on the calling thread. Panics where the shapes do not fit.
pub fn multiply<T: Scalar>(a: Matrix<T>, b: Matrix<T>, out: &mut [T], destination: Destination) {
    assert_eq!(a.columns, b.rows, "inner sizes differ");
    assert_eq!(out.len(), a.rows * b.columns, "wrong destination");
    // SAFETY: a `Matrix` has rows · columns numbers behind its strides, `out` has one for each
    // element of the product, is borrowed mutably, and so overlaps neither factor.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns as isize,
            destination == Destination::Add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_follow_the_definition_for_transposed_factors_and_sums() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 × 3
        let b = [1.0, 0.0, -1.0, 2.0, 0.5, 1.0]; // 2 × 3
        let mut out = [10.0; 4];
        let (a, b) = (Matrix::rows_of(3, &a), Matrix::rows_of(3, &b));
        multiply(a, b.t(), &mut out, Destination::Add);
        assert_eq!(out, [8.0, 16.0, 8.0, 26.5]);
        let mut out = [10.0; 9];
        multiply(a.t(), b, &mut out, Destination::Overwrite);
        assert_eq!(out, [9.0, 2.0, 3.0, 12.0, 2.5, 3.0, 15.0, 3.0, 3.0]);
    }
}
