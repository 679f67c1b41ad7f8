//! The patches of a convolution laid out as rows of a matrix.

use super::super::matrix::{Destination, Matrix, multiply};
use super::super::scalar::Scalar;
use super::algorithm::Algorithm;
use super::geometry::Geometry;

/// Numbers of a block of patches that stay in a core's second-level cache with what they become.
const BLOCK_NUMBERS: usize = 1 << 18;

/// Patches as rows of a matrix, times the weights as columns (Chellapilla, Puri, Simard 2006), by
/// the `gemm` crate. Right for any geometry and processor.
pub struct Im2col {
    geometry: Geometry,
    filters: usize,
}

impl Im2col {
    pub fn new(geometry: Geometry, filters: usize) -> Self {
        Self { geometry, filters }
    }

    /// Images whose patches are multiplied at once.
    fn images(&self) -> usize {
        let g = self.geometry;
        (BLOCK_NUMBERS / (g.pixels() * g.patch())).max(1)
    }

    /// At most a block of images as a matrix with a row for each output pixel: its patch
    /// `[ky][kx][channel]`.
    fn lay_out<'r, T: Scalar>(&self, images: &[T], room: &'r mut Vec<T>) -> Matrix<'r, T> {
        let g = self.geometry;
        let row = g.out_width() * g.patch();
        let images = images.chunks(g.image());
        let used = images.len() * g.pixels() * g.patch();
        if room.len() < used {
            room.resize(used, T::zero());
        }
        let patches = room.chunks_mut(row * g.out_height());
        for (image, patches) in images.zip(patches) {
            for (y, patches) in patches.chunks_mut(row).enumerate() {
                row_of_patches(g, image, y, patches);
            }
        }
        Matrix::rows_of(g.patch(), &room[..used])
    }
}

impl<T: Scalar> Algorithm<T> for Im2col {
    fn prepare(&self, weights: &[T], prepared: &mut Vec<T>) {
        prepared.clear();
        prepared.extend_from_slice(weights);
    }

    fn block(&self) -> usize {
        self.images()
    }

    fn convolve(&self, images: &[T], prepared: &[T], out: &mut [T], room: &mut Vec<T>) {
        let g = self.geometry;
        let weights = Matrix::rows_of(self.filters, prepared);
        let block = self.images();
        let out = out.chunks_mut(block * g.pixels() * self.filters);
        for (images, out) in images.chunks(block * g.image()).zip(out) {
            let patches = self.lay_out(images, room);
            let into = Destination::Overwrite;
            multiply(patches, weights, out, into);
        }
    }

    fn sums(&self) -> usize {
        self.geometry.patch() * self.filters
    }

    fn correlate(&self, images: &[T], gradients: &[T], sums: &mut [T], room: &mut Vec<T>) {
        let g = self.geometry;
        let block = self.images();
        let gradients = gradients.chunks(block * g.pixels() * self.filters);
        for (images, gradients) in images.chunks(block * g.image()).zip(gradients) {
            let patches = self.lay_out(images, room).t();
            let gradients = Matrix::rows_of(self.filters, gradients);
            multiply(patches, gradients, sums, Destination::Add);
        }
    }

    fn weight_gradient(&self, sums: &[T], out: &mut [T]) {
        out.copy_from_slice(sums);
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
        let mut patches = Vec::new();
        Im2col::new(g, 1).lay_out(&[1.0, 2.0, 3.0, 4.0], &mut patches);
        assert_eq!(patches[..9], [0., 0., 0., 0., 1., 2., 0., 3., 4.]);
        assert_eq!(patches[9..18], [0., 0., 0., 1., 2., 0., 3., 4., 0.]);
        assert_eq!(patches[18..27], [0., 1., 2., 0., 3., 4., 0., 0., 0.]);
        assert_eq!(patches[27..36], [1., 2., 0., 3., 4., 0., 0., 0., 0.]);
    }
}
