//! The convolution of some images, and its weight gradient, a few tiles at a time.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector};
use super::points::Points;
use super::product::Product;
use super::transform::{Evaluate, EvaluateTransposed, InterpolateTransposed};
use super::values::{Values, parts_of};
use super::{OUTPUTS, Winograd};

/// Overwrites `out` with the convolution of `images`.
pub struct Convolve<'a, T> {
    pub plan: &'a Winograd,
    pub images: &'a [T],
    /// `(N, N, channels, padded filters)`.
    pub prepared: &'a [T],
    pub out: &'a mut [T],
    pub room: &'a mut Vec<T>,
}

impl<T: Scalar> Kernel<T> for Convolve<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        match self.plan.geometry.kernel {
            3 => self.tiles::<V, 6>(),
            _ => self.tiles::<V, 8>(),
        }
    }
}

impl<T: Scalar> Convolve<'_, T> {
    #[inline(always)]
    fn tiles<V: Vector<Element = T>, const N: usize>(self) {
        let Winograd {
            geometry,
            filters,
            tiles,
            ..
        } = *self.plan;
        let [images, results] = self.plan.planes();
        let points = Points::<V, N>::new();
        let [values, products] = parts_of(
            self.room,
            [geometry.channels, filters].map(|width| Values::<T, N>::room(tiles, width)),
        );
        let mut values = Values::<T, N>::new(values, tiles, geometry.channels);
        let mut products = Values::<T, N>::new(products, tiles, filters);
        let all = self.out.len() / results.numbers() * results.tiles;
        for first in (0..all).step_by(tiles) {
            let some = first..all.min(first + tiles);
            values.read::<V, InterpolateTransposed, N>(&points, images, self.images, some.clone());
            let width = products.width;
            let matrices = self.prepared.chunks_exact(geometry.channels * width);
            for (point, matrix) in matrices.enumerate() {
                let product = Product {
                    a: values.at(point),
                    a_strides: [values.width, 1],
                    b: matrix,
                    rows: some.len(),
                    depth: geometry.channels,
                    width,
                    c: products.at_mut(point),
                };
                product.run::<V, false>();
            }
            products.write::<V, EvaluateTransposed, OUTPUTS>(&points, results, self.out, some);
        }
    }
}

/// Adds to `sums` the products of the values of `images` and `gradients`, summed over tiles.
pub struct Correlate<'a, T> {
    pub plan: &'a Winograd,
    pub images: &'a [T],
    pub gradients: &'a [T],
    /// `(N, N, channels, padded filters)`.
    pub sums: &'a mut [T],
    pub room: &'a mut Vec<T>,
}

impl<T: Scalar> Kernel<T> for Correlate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        match self.plan.geometry.kernel {
            3 => self.tiles::<V, 6>(),
            _ => self.tiles::<V, 8>(),
        }
    }
}

impl<T: Scalar> Correlate<'_, T> {
    #[inline(always)]
    fn tiles<V: Vector<Element = T>, const N: usize>(self) {
        let Winograd {
            geometry,
            filters,
            tiles,
            ..
        } = *self.plan;
        let [images, results] = self.plan.planes();
        let points = Points::<V, N>::new();
        let [values, gradients] = parts_of(
            self.room,
            [geometry.channels, filters].map(|width| Values::<T, N>::room(tiles, width)),
        );
        let mut values = Values::<T, N>::new(values, tiles, geometry.channels);
        let mut gradients = Values::<T, N>::new(gradients, tiles, filters);
        let all = self.gradients.len() / results.numbers() * results.tiles;
        for first in (0..all).step_by(tiles) {
            let some = first..all.min(first + tiles);
            values.read::<V, InterpolateTransposed, N>(&points, images, self.images, some.clone());
            gradients.read::<V, Evaluate, OUTPUTS>(&points, results, self.gradients, some.clone());
            let matrices = self
                .sums
                .chunks_exact_mut(geometry.channels * gradients.width);
            for (point, matrix) in matrices.enumerate() {
                let product = Product {
                    a: values.at(point),
                    a_strides: [1, values.width],
                    rows: geometry.channels,
                    depth: some.len(),
                    width: gradients.width,
                    b: gradients.at(point),
                    c: matrix,
                };
                product.run::<V, true>();
            }
        }
    }
}
