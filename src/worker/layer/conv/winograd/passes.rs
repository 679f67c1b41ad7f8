//! The convolution of some images, and their part of the weight gradient, a few tiles at a time.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector};
use super::product::Product;
use super::transform::{Evaluate, EvaluateTransposed as Inverse, InterpolateTransposed as Image};
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
        let [images, results] = self.plan.planes();
        let [mut values, mut products] =
            Values::pair(self.room, self.plan.points(), [images, results]);
        let (channels, width) = (images.channels, products.width);
        let all = images.tiles_of(self.images);
        for first in (0..all).step_by(TILES) {
            let some = first..all.min(first + TILES);
            match self.plan.geometry.kernel {
                3 => values.read::<V, Image, 6, 6>(images, self.images, some.clone()),
                _ => values.read::<V, Image, 8, 8>(images, self.images, some.clone()),
            }
            for point in 0..self.plan.points() {
                let product = Product {
                    a: values.at(point),
                    a_strides: [values.width, 1],
                    b: &self.prepared[point * channels * width..][..channels * width],
                    c: products.at_mut(point),
                    rows: some.len(),
                    depth: channels,
                    width,
                };
                product.run::<V>(false);
            }
            match self.plan.geometry.kernel {
                3 => products.write::<V, Inverse, 6, OUTPUTS>(results, self.out, some),
                _ => products.write::<V, Inverse, 8, OUTPUTS>(results, self.out, some),
            }
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
        let [images, results] = self.plan.planes();
        let [mut values, mut gradients] =
            Values::pair(self.room, self.plan.points(), [images, results]);
        let (channels, width) = (images.channels, gradients.width);
        let all = images.tiles_of(self.images);
        for first in (0..all).step_by(TILES) {
            let some = first..all.min(first + TILES);
            match self.plan.geometry.kernel {
                3 => {
                    values.read::<V, Image, 6, 6>(images, self.images, some.clone());
                    gradients.read::<V, Evaluate, 6, OUTPUTS>(
                        results,
                        self.gradients,
                        some.clone(),
                    );
                }
                _ => {
                    values.read::<V, Image, 8, 8>(images, self.images, some.clone());
                    gradients.read::<V, Evaluate, 8, OUTPUTS>(
                        results,
                        self.gradients,
                        some.clone(),
                    );
                }
            }
            for point in 0..self.plan.points() {
                let product = Product {
                    a: values.at(point),
                    a_strides: [1, values.width],
                    b: gradients.at(point),
                    c: &mut self.sums[point * channels * width..][..channels * width],
                    rows: channels,
                    depth: some.len(),
                    width,
                };
                product.run::<V>(true);
            }
        }
    }
}
