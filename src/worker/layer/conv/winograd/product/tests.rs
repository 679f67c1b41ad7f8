//! Products of whole numbers, which are exact, against plain loops.

use super::super::super::super::simd::{Kernel, Level};
use super::*;

/// `c += a · b` of whole numbers.
struct WholeNumbers {
    rows: usize,
    depth: usize,
    columns: usize,
}

impl Kernel<f32> for WholeNumbers {
    /// Results and expected results.
    type Output = [Vec<f32>; 2];

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(self) -> Self::Output {
        let (rows, depth, width) = (self.rows, self.depth, self.columns * V::LANES);
        let numbers = |count: usize| (0..count).map(|i| (i * 7 % 5) as f32).collect::<Vec<_>>();
        let (a, b, c) = (
            numbers(rows * depth),
            numbers(depth * width),
            numbers(rows * width),
        );
        let expected = (0..rows * width).map(|at| {
            let (row, column) = (at / width, at % width);
            let products = (0..depth).map(|k| a[k * rows + row] * b[k * width + column]);
            c[at] + products.sum::<f32>()
        });
        let expected = expected.collect();
        let mut sums = c.clone();
        let product = Product {
            a: &a,
            a_strides: [1, rows],
            b: &b,
            c: &mut sums,
            rows,
            depth,
            width,
        };
        product.run::<V>(true);
        [sums, expected]
    }
}

#[test]
fn products_have_rows_columns_and_steps_of_any_number() {
    for level in Level::available() {
        for (rows, depth, columns) in (1..=14).map(|rows| (rows, 5 * rows, rows % 8 + 1)) {
            let [found, expected] = level.run(WholeNumbers {
                rows,
                depth,
                columns,
            });
            assert_eq!(found, expected, "{level:?}, {rows} rows, {columns} columns");
        }
    }
}
