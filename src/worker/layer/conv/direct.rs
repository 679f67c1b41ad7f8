//! Convolution without a matrix of patches: sums of a tile of results stay in registers while the
//! kernel moves over the image.
//!
//! Results: six neighbouring pixels by a few registers of filters. Gradient of the weights: six
//! neighbouring numbers of a patch by the same registers. Both read images and results as they lie in
//! memory, channels last, and skip what the padding multiplies by zero. Blocking for registers with
//! channels innermost follows Georganas et al., "Anatomy of high-performance deep learning
//! convolutions on SIMD architectures", 2018.

mod forward;
mod panels;
mod runs;
mod tile;
mod weights;

use super::super::scalar::Scalar;
use super::super::simd::Level;
use super::algorithm::Algorithm;
use super::geometry::Geometry;
use forward::Forward;
use panels::LayOut;
use weights::Correlate;

/// Numbers of images and results that stay in a core's second-level cache beside the weights.
const BLOCK_NUMBERS: usize = 1 << 16;

/// The convolution of one geometry with a number of filters, for any sizes.
#[derive(Clone, Copy, Debug)]
pub struct Direct {
    geometry: Geometry,
    filters: usize,
    level: Level,
}

impl Direct {
    /// `geometry` is valid and there is a filter.
    pub fn new(geometry: Geometry, filters: usize, level: Level) -> Self {
        assert!(geometry.is_valid(), "no convolution has {geometry:?}");
        assert!(filters > 0, "a convolution has filters");
        Self {
            geometry,
            filters,
            level,
        }
    }
}

impl<T: Scalar> Algorithm<T> for Direct {
    fn prepare(&self, weights: &[T], prepared: &mut Vec<T>) {
        self.level.run(LayOut {
            rows: weights,
            filters: self.filters,
            prepared,
        });
    }

    fn block(&self) -> usize {
        let result = self.geometry.pixels() * self.filters;
        (BLOCK_NUMBERS / (self.geometry.image() + result)).max(1)
    }

    fn convolve(&self, images: &[T], prepared: &[T], out: &mut [T], _: &mut Vec<T>) {
        self.level.run(Forward {
            geometry: self.geometry,
            filters: self.filters,
            images,
            prepared,
            out,
        });
    }

    fn sums(&self) -> usize {
        self.geometry.patch() * self.filters
    }

    fn correlate(&self, images: &[T], gradients: &[T], sums: &mut [T], room: &mut Vec<T>) {
        self.level.run(Correlate {
            geometry: self.geometry,
            filters: self.filters,
            images,
            gradients,
            sums,
            room,
        });
    }

    fn weight_gradient(&self, sums: &[T], out: &mut [T]) {
        out.copy_from_slice(sums);
    }
}

#[cfg(test)]
mod tests;
