//! Local response normalisation and the maxima of its windows as one: the normalised image stays in
//! the cache of the core.
//!
//! In and out: whole images `(height, width, channels)`, one after the other, on the calling thread.

use super::super::max_pool::windows::Windows;
use super::super::scalar::Scalar;
use super::super::simd::Level;
use super::Lrn;
use super::pixels::Pixels;

/// A normalisation of images whose maxima are taken over windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PooledLrn {
    pub lrn: Lrn,
    pub windows: Windows,
}

impl PooledLrn {
    /// Overwrites `y` with the maxima of the normalised images `x`, and `places` with where in its
    /// window each was found.
    pub fn forward<T: Scalar>(self, level: Level, x: &[T], y: &mut [T], places: &mut [u8]) {
        let (image, result) = (self.windows.image(), self.windows.result());
        assert_eq!(x.len() % image, 0);
        assert_eq!(y.len(), x.len() / image * result);
        assert_eq!(places.len(), y.len());
        let mut normalised = vec![T::zero(); image];
        let results = y.chunks_mut(result).zip(places.chunks_mut(result));
        for (x, (y, places)) in x.chunks(image).zip(results) {
            self.pixels().normalise(level, x, &mut normalised);
            self.windows.pool(level, &normalised, y, places);
        }
    }

    /// Overwrites `dx` with the gradient by the images `x`, from the gradient `dy` by their maxima.
    pub fn backward<T: Scalar>(
        self,
        level: Level,
        x: &[T],
        (dy, places): (&[T], &[u8]),
        dx: &mut [T],
    ) {
        let (image, result) = (self.windows.image(), self.windows.result());
        assert_eq!((x.len() % image, dx.len()), (0, x.len()));
        assert_eq!(dy.len(), x.len() / image * result);
        assert_eq!(places.len(), dy.len());
        let mut spread = vec![T::zero(); image];
        let results = dy.chunks(result).zip(places.chunks(result));
        for ((x, dx), (dy, places)) in x.chunks(image).zip(dx.chunks_mut(image)).zip(results) {
            self.windows.spread(level, dy, places, &mut spread);
            self.pixels().gradient(level, x, &spread, dx);
        }
    }

    fn pixels(self) -> Pixels {
        Pixels {
            lrn: self.lrn,
            channels: self.windows.channels,
        }
    }
}

#[cfg(test)]
mod tests;
