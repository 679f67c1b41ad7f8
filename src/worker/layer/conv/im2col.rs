//! The patches of a convolution laid out as rows of a matrix.

use super::super::matrix::{Destination, Matrix, Threads, multiply};
use super::super::scalar::Scalar;
use super::geometry::Geometry;

/// Numbers of a block of patches that stay in a core's second-level cache with what they become.
const BLOCK_NUMBERS: usize = 1 << 18;

/// Images whose patches are multiplied at once.
pub fn block_of(geometry: Geometry) -> usize {
    (BLOCK_NUMBERS / (geometry.pixels() * geometry.patch())).max(1)
}

/// A matrix with a row for each output pixel of a block of images: its patch `[ky][kx][channel]`.
pub struct Patches<T> {
    geometry: Geometry,
    numbers: Vec<T>,
}

impl<T: Scalar> Patches<T> {
    /// Room for one block.
    pub fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            numbers: vec![T::zero(); block_of(geometry) * geometry.pixels() * geometry.patch()],
        }
    }

    /// Overwrites `out` with the patches of `images` times `weights`.
    pub fn times(&mut self, images: &[T], weights: &[T], out: &mut [T]) {
        let g = self.geometry;
        let filters = weights.len() / g.patch();
        let weights = Matrix::rows_of(filters, weights);
        let out = out.chunks_mut(block_of(g) * g.pixels() * filters);
        for (images, out) in images.chunks(block_of(g) * g.image()).zip(out) {
            let patches = self.lay_out(images);
            multiply(
                patches,
                weights,
                out,
                Destination::Overwrite,
                Threads::Caller,
            );
        }
    }

    /// Adds to `out` the transposed patches of `images` times `right`, which has a row for each
    /// output pixel.
    pub fn add_transposed_times(&mut self, images: &[T], right: &[T], out: &mut [T]) {
        let g = self.geometry;
        let columns = out.len() / g.patch();
        let right = right.chunks(block_of(g) * g.pixels() * columns);
        for (images, right) in images.chunks(block_of(g) * g.image()).zip(right) {
            let patches = self.lay_out(images).t();
            let right = Matrix::rows_of(columns, right);
            multiply(patches, right, out, Destination::Add, Threads::Caller);
        }
    }

    /// At most a block of images.
    fn lay_out(&mut self, images: &[T]) -> Matrix<'_, T> {
        let g = self.geometry;
        let row = g.out_width() * g.patch();
        let images = images.chunks(g.image());
        let used = images.len() * g.pixels() * g.patch();
        let patches = self.numbers.chunks_mut(row * g.out_height());
        for (image, patches) in images.zip(patches) {
            for (y, patches) in patches.chunks_mut(row).enumerate() {
                row_of_patches(g, image, y, patches);
            }
        }
        Matrix::rows_of(g.patch(), &self.numbers[..used])
    }
}

/// In this layout one row of a patch is one run of the image, up to padding on both ends.
fn row_of_patches<T: Scalar>(g: Geometry, image: &[T], y: usize, patches: &mut [T]) {
    let run = g.kernel * g.channels;
    let line = g.width * g.channels;
    for (x, patch) in patches.chunks_mut(g.patch()).enumerate() {
        let start = x * g.channels;
        let left = (g.padding * g.channels).saturating_sub(start);
        let from = start.saturating_sub(g.padding * g.channels);
        let taken = (run - left).min(line - from);
        for (ky, patch) in patch.chunks_mut(run).enumerate() {
            match (y + ky).checked_sub(g.padding) {
                Some(iy) if iy < g.height => {
                    let seen = &image[iy * line + from..][..taken];
                    if taken == run {
                        patch.copy_from_slice(seen);
                    } else {
                        patch.fill(T::zero());
                        patch[left..left + taken].copy_from_slice(seen);
                    }
                }
                _ => patch.fill(T::zero()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_what_each_pixel_sees_with_zeros_around_the_image() {
        let g = Geometry {
            height: 2,
            width: 2,
            channels: 1,
            kernel: 3,
            padding: 1,
        };
        let mut patches = Patches::new(g);
        patches.lay_out(&[1.0, 2.0, 3.0, 4.0]);
        let patches = patches.numbers;
        assert_eq!(patches[..9], [0., 0., 0., 0., 1., 2., 0., 3., 4.]);
        assert_eq!(patches[9..18], [0., 0., 0., 1., 2., 0., 3., 4., 0.]);
        assert_eq!(patches[18..27], [0., 1., 2., 0., 3., 4., 0., 0., 0.]);
        assert_eq!(patches[27..36], [1., 2., 0., 3., 4., 0., 0., 0., 0.]);
    }
}
