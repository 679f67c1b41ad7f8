//! Convolutions by Winograd's algorithm (Winograd 1980; Lavin, Gray 2016).

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

/// One convolution.
#[derive(Clone, Debug)]
pub struct Winograd {
    geometry: Geometry,
    filters: usize,
    level: Level,
    /// Tiles that are computed at a time.
    pub tiles: usize,
}

impl Winograd {
    /// None where the algorithm would not be worth it.
    pub fn new(geometry: Geometry, filters: usize, level: Level) -> Option<Self> {
        let kernel = geometry.kernel;
        if !geometry.is_valid() || !matches!(kernel, 3 | 5) {
            return None;
        }
        let plan = Self {
            geometry,
            filters,
            level,
            tiles: 18,
        };
        let [images, _] = plan.planes();
        let direct = geometry.pixels() * kernel * kernel;
        let worth =
            geometry.channels.min(filters) >= 8 && 2 * images.tiles * plan.points() <= direct;
        worth.then_some(plan)
    }

    fn planes(&self) -> [Plane; 2] {
        Plane::pair(self.geometry, self.filters)
    }

    fn points(&self) -> usize {
        (self.geometry.kernel + OUTPUTS - 1).pow(2)
    }

    fn padded_filters(&self) -> usize {
        self.filters.next_multiple_of(LINE)
    }

    fn check<T>(&self, images: &[T], results: &[T], sums: &[T]) {
        let count = images.len() / self.geometry.image();
        assert_eq!(images.len(), count * self.geometry.image());
        assert_eq!(results.len(), count * self.geometry.pixels() * self.filters);
        assert_eq!(
            sums.len(),
            self.points() * self.geometry.channels * self.padded_filters()
        );
    }
}

impl<T: Scalar> Algorithm<T> for Winograd {
    fn prepare(&self, weights: &[T], prepared: &mut Vec<T>) {
        prepared.resize(Algorithm::<T>::sums(self), T::zero());
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
        self.tiles.div_ceil(images.tiles)
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
        self.points() * self.geometry.channels * self.padded_filters()
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
