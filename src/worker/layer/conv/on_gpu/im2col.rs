//! Convolutions by patches laid out as rows of a matrix, and cuBLAS.

use super::super::super::scalar::Scalar;
use super::method::{Method, Parts, Sizes, args_of, flipped};
use crate::worker::gpu::{Arg, Buffer, Gemm, Gpu, Launch, Span};
use candle_core::Result;

/// Memory for patches and flipped weights.
#[derive(Default)]
pub struct Im2col<T> {
    patches: Buffer<T>,
    /// Whether the patches are those of all images of this pass.
    has_images: bool,
    flipped: Buffer<T>,
}

/// Bytes of patches that are laid out at a time.
const MOST_BYTES: usize = 1 << 30;

impl<T: Scalar> Method<T> for Im2col<T> {
    fn convolve(&mut self, gpu: &Gpu, sizes: Sizes, xw: [Span<T>; 2], y: Span<T>) -> Result<()> {
        self.multiply(gpu, sizes, xw, y)?;
        self.has_images = images_of_a_part::<T>(sizes) >= sizes.batch;
        Ok(())
    }

    fn filter_gradient(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        [x, dy]: [Span<T>; 2],
        dw: Span<T>,
    ) -> Result<Option<Parts<T>>> {
        for part in parts::<T>(sizes) {
            let patches = match self.has_images {
                true => self.patches.at_least(gpu, part.patches())?,
                false => self.lay_out(gpu, part, x)?,
            };
            gpu.gemm(Gemm {
                a_transposed: true,
                beta: if part.first == 0 { 0.0 } else { 1.0 },
                ..Gemm::new(
                    [sizes.geometry.patch(), part.sizes.pixels(), sizes.filters],
                    patches,
                    part.results(dy),
                    dw,
                )
            })?;
        }
        Ok(None)
    }

    fn image_gradient(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        [dy, w]: [Span<T>; 2],
        dx: Span<T>,
    ) -> Result<()> {
        let flipped = flipped(gpu, sizes, w, &mut self.flipped)?;
        self.has_images = false;
        self.multiply(gpu, sizes.transposed(), [dy, flipped], dx)
    }
}

impl<T: Scalar> Im2col<T> {
    fn multiply(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        [x, w]: [Span<T>; 2],
        y: Span<T>,
    ) -> Result<()> {
        for part in parts::<T>(sizes) {
            let patches = self.lay_out(gpu, part, x)?;
            let dims = [part.sizes.pixels(), sizes.geometry.patch(), sizes.filters];
            gpu.gemm(Gemm::new(dims, patches, w, part.results(y)))?;
        }
        Ok(())
    }

    /// The patches of some of the images.
    fn lay_out(&mut self, gpu: &Gpu, part: Part, images: Span<T>) -> Result<Span<T>> {
        let geometry = part.sizes.geometry;
        let images = images.part(
            part.first * geometry.image(),
            part.sizes.batch * geometry.image(),
        );
        let patches = self.patches.at_least(gpu, part.patches())?;
        let [height, width, channels, kernel, padding] = args_of(geometry);
        let args = [
            images.into(),
            patches.into(),
            Arg::size(patches.len()),
            height,
            width,
            channels,
            kernel,
            padding,
        ];
        match geometry.channels.is_multiple_of(4) && images.has_fours() && patches.has_fours() {
            true => {
                let launch = Launch::each(patches.len() / 4);
                gpu.launch::<T>("conv_patches_by_four", launch, &args)?;
            }
            false => gpu.launch::<T>("conv_patches", Launch::each(patches.len()), &args)?,
        }
        Ok(patches)
    }
}

/// Some images of a batch, whose patches are there together.
#[derive(Clone, Copy)]
struct Part {
    first: usize,
    /// With as many images as the part has.
    sizes: Sizes,
}

impl Part {
    /// Numbers of its patches.
    fn patches(&self) -> usize {
        self.sizes.pixels() * self.sizes.geometry.patch()
    }

    /// Its results, of those of the batch.
    fn results<T: Scalar>(&self, of: Span<T>) -> Span<T> {
        let first = self.first * self.sizes.geometry.pixels() * self.sizes.filters;
        of.part(first, self.sizes.results())
    }
}

fn parts<T>(sizes: Sizes) -> impl Iterator<Item = Part> {
    let images = images_of_a_part::<T>(sizes);
    (0..sizes.batch).step_by(images).map(move |first| Part {
        first,
        sizes: Sizes {
            batch: images.min(sizes.batch - first),
            ..sizes
        },
    })
}

fn images_of_a_part<T>(sizes: Sizes) -> usize {
    let bytes = sizes.geometry.pixels() * sizes.geometry.patch() * size_of::<T>();
    (MOST_BYTES / bytes).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::super::geometry::Geometry;
    use super::*;

    #[test]
    fn parts_are_all_images_within_the_bound() {
        let geometry = Geometry {
            height: 12,
            width: 12,
            channels: 64,
            kernel: 5,
            padding: 2,
        };
        let sizes = |batch| Sizes {
            batch,
            geometry,
            filters: 64,
        };
        let images = |batch| -> Vec<_> {
            let parts = parts::<f32>(sizes(batch)).map(|part| (part.first, part.sizes.batch));
            parts.collect()
        };
        assert_eq!(images(128), [(0, 128)]);
        assert_eq!(images(2500), [(0, 1165), (1165, 1165), (2330, 170)]);
        let largest = parts::<f32>(sizes(2500))
            .map(|part| part.patches() * 4)
            .max();
        assert!(largest.is_some_and(|bytes| bytes <= MOST_BYTES));
    }
}
