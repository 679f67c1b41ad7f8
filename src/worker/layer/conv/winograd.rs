//! Convolution and weight gradient with few multiplications (Winograd 1980; Lavin, Gray 2016).
//!
//! Images are cut into tiles that give 4 · 4 results each. Tiles and filters are seen as polynomials
//! in two variables and taken at `N · N` points ([`transform`]), where a convolution is a product of
//! numbers, so that one small matrix product for each point does the work of `k²` for each result:
//! with `N = k + 3` it needs `16 k² / N²` times fewer multiplications, 4 times for `k = 3` and 6.25
//! times for `k = 5`. The weight gradient is summed up at the points, over all images.
//!
//! The price is rounding: in f32 the relative L2 error is up to 4 · 10⁻⁶ for `k = 5` and 10⁻⁶ for
//! `k = 3`, for results and weight gradients, with 64 channels and 128 images.

// Kernels index several arrays at once, by constants once their loops are unrolled.
#![allow(clippy::needless_range_loop)]

mod filters;
mod passes;
mod points;
mod product;
mod tiling;
mod transform;
mod values;

use super::super::scalar::Scalar;
use super::super::simd::Level;
use super::algorithm::Algorithm;
use super::geometry::Geometry;
use filters::Squares;
use passes::{Convolve, Correlate};
use tiling::Plane;
use transform::{Weights, WeightsTransposed};

/// Rows and columns of results that a tile gives.
const OUTPUTS: usize = 4;
/// Rows of numbers are padded to a multiple of as many: the most that a register has.
const LINE: usize = 16;
/// Tiles that are computed at a time. Their values at all points stay in the second-level cache
/// beside the filters, with 64 channels and filters; a multiple of the rows of a [`product`]'s tile.
const TILES: usize = 18;

/// One convolution with a kernel of 3 or 5 rows.
#[derive(Clone, Copy, Debug)]
pub struct Winograd {
    geometry: Geometry,
    filters: usize,
    level: Level,
}

impl Winograd {
    /// None for other kernels, and where transforms would cost more than they save: with few
    /// channels or filters, or tiles that are mostly outside of the image.
    pub fn new(geometry: Geometry, filters: usize, level: Level) -> Option<Self> {
        let kernel = geometry.kernel;
        if !geometry.is_valid() || !matches!(kernel, 3 | 5) {
            return None;
        }
        let plan = Self {
            geometry,
            filters,
            level,
        };
        let [images, _] = plan.planes();
        let fewer = geometry.pixels() * kernel * kernel >= 2 * images.tiles * plan.points();
        (fewer && geometry.channels.min(filters) >= 8).then_some(plan)
    }

    /// Images and results as tiles.
    fn planes(&self) -> [Plane; 2] {
        Plane::pair(self.geometry, self.filters)
    }

    /// All points: `N · N`.
    fn points(&self) -> usize {
        (self.geometry.kernel + OUTPUTS - 1).pow(2)
    }

    /// Numbers of a row of filters at one point.
    fn padded_filters(&self) -> usize {
        self.filters.next_multiple_of(LINE)
    }

    /// Numbers of the filters, or of their gradient, at all points.
    fn numbers(&self) -> usize {
        self.points() * self.geometry.channels * self.padded_filters()
    }

    /// Panics where the lengths are not those of as many images and results.
    fn check<T>(&self, images: &[T], results: &[T], filters: &[T]) {
        let count = images.len() / self.geometry.image();
        assert_eq!(images.len(), count * self.geometry.image());
        assert_eq!(results.len(), count * self.geometry.pixels() * self.filters);
        assert_eq!(filters.len(), self.numbers());
    }
}

impl<T: Scalar> Algorithm<T> for Winograd {
    fn prepare(&self, weights: &[T], prepared: &mut Vec<T>) {
        prepared.resize(self.numbers(), T::zero());
        let squares = Squares {
            from: weights,
            from_width: self.filters,
            to: prepared,
            to_width: self.padded_filters(),
        };
        match self.geometry.kernel {
            3 => squares.map::<Weights, 6, 3, 6>(self),
            _ => squares.map::<Weights, 8, 5, 8>(self),
        }
    }

    fn block(&self) -> usize {
        let [images, _] = self.planes();
        TILES.div_ceil(images.tiles)
    }

    fn convolve(&self, images: &[T], prepared: &[T], out: &mut [T], room: &mut Vec<T>) {
        self.check(images, out, prepared);
        self.level.run(Convolve {
            plan: self,
            images,
            prepared,
            out,
            room,
        });
    }

    fn sums(&self) -> usize {
        self.numbers()
    }

    fn correlate(&self, images: &[T], gradients: &[T], sums: &mut [T], room: &mut Vec<T>) {
        self.check(images, gradients, sums);
        self.level.run(Correlate {
            plan: self,
            images,
            gradients,
            sums,
            room,
        });
    }

    fn weight_gradient(&self, sums: &[T], out: &mut [T]) {
        let squares = Squares {
            from: sums,
            from_width: self.padded_filters(),
            to: out,
            to_width: self.filters,
        };
        match self.geometry.kernel {
            3 => squares.map::<WeightsTransposed, 6, 6, 3>(self),
            _ => squares.map::<WeightsTransposed, 8, 8, 5>(self),
        }
    }
}

#[cfg(test)]
mod tests;
