//! The convolution of some images, and their part of the weight gradient, a few tiles at a time.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector};
use super::points::Points;
use super::product::Product;
use super::transform::{Evaluate, EvaluateTransposed, InterpolateTransposed};
use super::values::Values;
use super::{OUTPUTS, TILES, Winograd};

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
        let [images, results] = self.plan.planes();
        let points = Points::<V, N>::new();
        let [mut values, mut products] = Values::<T, N>::pair(self.room, [images, results]);
        let (channels, width) = (images.channels, products.width);
        let all = images.tiles_of(self.images);
        for first in (0..all).step_by(TILES) {
            let some = first..all.min(first + TILES);
            values.read::<V, InterpolateTransposed, N>(&points, images, self.images, some.clone());
            for point in 0..N * N {
                let product = Product {
                    a: values.at(point),
                    a_strides: [values.width, 1],
                    b: &self.prepared[point * channels * width..][..channels * width],
                    c: products.at_mut(point),
                    rows: some.len(),
                    depth: channels,
                    width,
                };
                product.run::<V, false>();
            }
            products.write::<V, EvaluateTransposed, OUTPUTS>(&points, results, self.out, some);
        }
    }
}

/// Adds to `sums` the products of the values of `images` and of `gradients`, summed over tiles.
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
        let [images, results] = self.plan.planes();
        let points = Points::<V, N>::new();
        let [mut values, mut gradients] = Values::<T, N>::pair(self.room, [images, results]);
        let (channels, width) = (images.channels, gradients.width);
        let all = images.tiles_of(self.images);
        for first in (0..all).step_by(TILES) {
            let some = first..all.min(first + TILES);
            values.read::<V, InterpolateTransposed, N>(&points, images, self.images, some.clone());
            gradients.read::<V, Evaluate, OUTPUTS>(&points, results, self.gradients, some.clone());
            for point in 0..N * N {
                let product = Product {
                    a: values.at(point),
                    a_strides: [1, values.width],
                    b: gradients.at(point),
                    c: &mut self.sums[point * channels * width..][..channels * width],
                    rows: channels,
                    depth: some.len(),
                    width,
                };
                product.run::<V, true>();
            }
        }
    }
}
