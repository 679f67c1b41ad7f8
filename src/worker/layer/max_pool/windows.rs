//! Maxima over 3×3 windows with stride 2, and their gradient, at the width of the processor.
//!
//! In: images `(height, width, channels)`, one after the other; out: their maxima and where in its
//! window, row by row, each was found. The padding is TensorFlow's SAME: halved, with the odd row or
//! column behind, so that windows begin at an even row of an even size and one before that of an odd
//! one. The first of equal numbers is the maximum. Runs on the calling thread; knows no tensors.

mod pool;
mod spread;

use super::super::scalar::Scalar;
use super::super::simd::Level;
use pool::Pool;
use spread::Spread;

const WINDOW: usize = 3;
const STRIDE: usize = 2;

/// The place of a maximum that lets no gradient pass, as behind a rectifier that stopped it.
pub const NOWHERE: u8 = u8::MAX;

/// The windows of images of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Windows {
    pub fn out_height(self) -> usize {
        self.height.div_ceil(STRIDE)
    }

    pub fn out_width(self) -> usize {
        self.width.div_ceil(STRIDE)
    }

    /// Numbers of one image.
    pub fn image(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Maxima of one image.
    pub fn result(self) -> usize {
        self.out_height() * self.out_width() * self.channels
    }

    /// Overwrites `y` with the maxima of the images `x`, and `places` with where each was found.
    pub fn pool<T: Scalar>(self, level: Level, x: &[T], y: &mut [T], places: &mut [u8]) {
        self.check(x.len(), y.len(), places.len());
        level.run(Pool {
            windows: self,
            x,
            y,
            places,
        });
    }

    /// Overwrites the images `dx` with the gradients `dy` of their maxima, each added where its
    /// maximum was found.
    pub fn spread<T: Scalar>(self, level: Level, dy: &[T], places: &[u8], dx: &mut [T]) {
        self.check(dx.len(), dy.len(), places.len());
        level.run(Spread {
            windows: self,
            dy,
            places,
            dx,
        });
    }

    /// That all are numbers of as many whole images.
    fn check(self, images: usize, results: usize, places: usize) {
        let count = images / self.image();
        assert_eq!(images, count * self.image());
        assert_eq!(results, count * self.result());
        assert_eq!(places, results);
    }

    /// Rows and columns that the first window begins before the image.
    fn padding(self) -> (usize, usize) {
        (self.height % STRIDE, self.width % STRIDE)
    }

    /// Where in an image pixel `(u, v)` of the window of output pixel `(i, j)` starts.
    #[inline(always)]
    fn pixel(self, i: usize, j: usize, u: usize, v: usize) -> Option<usize> {
        let (top, left) = self.padding();
        // What lies before the image wraps to far behind it.
        let row = (STRIDE * i + u).wrapping_sub(top);
        let column = (STRIDE * j + v).wrapping_sub(left);
        let is_inside = row < self.height && column < self.width;
        is_inside.then(|| (row * self.width + column) * self.channels)
    }
}

#[cfg(test)]
mod tests;
