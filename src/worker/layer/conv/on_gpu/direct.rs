//! Convolutions by products of matrices whose patches are never written: see `kernels/direct.cu`.

use super::super::super::scalar::Scalar;
use super::method::{Method, Parts, Sizes, args_of, flipped};
use crate::worker::gpu::{Arg, Buffer, Gpu, Launch, Span};
use candle_core::Result;

/// Memory for flipped weights, and for gradients of filters by parts of the batch.
#[derive(Default)]
pub struct Direct<T> {
    flipped: Buffer<T>,
    parts: Buffer<T>,
}

/// Rows and columns of a block's tile, its threads, and terms that it takes at a time.
const TILE: usize = 64;
const THREADS: u32 = 64;
const DEPTH: usize = 16;

/// Blocks of a gradient of filters that keep a large GPU busy, and terms that are worth a part of their own.
const BLOCKS: usize = 528;
const TERMS: usize = 256;

impl<T: Scalar> Method<T> for Direct<T> {
    fn convolve(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        [x, w]: [Span<T>; 2],
        y: Span<T>,
    ) -> Result<()> {
        convolve(gpu, sizes, [x, w], y)
    }

    fn filter_gradient(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        [x, dy]: [Span<T>; 2],
        dw: Span<T>,
    ) -> Result<Option<Parts<T>>> {
        let taken = terms_of_a_part(sizes);
        let count = sizes.pixels().div_ceil(taken);
        let numbers = match count {
            1 => dw,
            _ => self.parts.at_least(gpu, count * sizes.weights())?,
        };
        let [height, width, channels, kernel, padding] = args_of(sizes.geometry);
        let args = [
            x.into(),
            dy.into(),
            numbers.into(),
            Arg::size(sizes.pixels()),
            Arg::size(taken),
            height,
            width,
            channels,
            kernel,
            padding,
            Arg::size(sizes.filters),
        ];
        let kernel = match takes_fours(sizes, [x, dy, numbers]) {
            true => "conv_direct_back_by_four",
            false => "conv_direct_back",
        };
        let launch = tiles([sizes.geometry.patch(), sizes.filters], count);
        gpu.launch::<T>(kernel, launch, &args)?;
        Ok((count > 1).then_some(Parts {
            numbers,
            count,
            order: 0,
        }))
    }

    fn image_gradient(
        &mut self,
        gpu: &Gpu,
        sizes: Sizes,
        [dy, w]: [Span<T>; 2],
        dx: Span<T>,
    ) -> Result<()> {
        let flipped = flipped(gpu, sizes, w, &mut self.flipped)?;
        convolve(gpu, sizes.transposed(), [dy, flipped], dx)
    }
}

fn convolve<T: Scalar>(gpu: &Gpu, sizes: Sizes, [x, w]: [Span<T>; 2], y: Span<T>) -> Result<()> {
    let [height, width, channels, kernel, padding] = args_of(sizes.geometry);
    let args = [
        x.into(),
        w.into(),
        y.into(),
        Arg::size(sizes.pixels()),
        height,
        width,
        channels,
        kernel,
        padding,
        Arg::size(sizes.filters),
    ];
    let kernel = match takes_fours(sizes, [x, w, y]) {
        true => "conv_direct_by_four",
        false => "conv_direct",
    };
    gpu.launch::<T>(kernel, tiles([sizes.pixels(), sizes.filters], 1), &args)
}

/// Whether four neighbouring numbers are of one pixel everywhere.
fn takes_fours<T: Scalar>(sizes: Sizes, spans: [Span<T>; 3]) -> bool {
    let numbers = [sizes.geometry.channels, sizes.filters];
    numbers.iter().all(|count| count.is_multiple_of(4)) && spans.iter().all(|span| span.has_fours())
}

/// Blocks for the tiles of a matrix, so many times.
fn tiles([rows, columns]: [usize; 2], times: usize) -> Launch {
    let blocks = |count| u32::try_from(count).expect("a grid has fewer than 2^32 blocks");
    Launch {
        grid: [rows.div_ceil(TILE), columns.div_ceil(TILE), times].map(blocks),
        block: [THREADS, 1, 1],
        shared_bytes: 0,
    }
}

/// Pixels whose contributions to the gradient of filters a block adds up. It depends on sizes alone, and so
/// does the order of additions.
fn terms_of_a_part(sizes: Sizes) -> usize {
    let tiles = sizes.geometry.patch().div_ceil(TILE) * sizes.filters.div_ceil(TILE);
    let most = sizes.pixels().div_ceil(TERMS);
    let parts = (BLOCKS / tiles).clamp(1, most);
    sizes.pixels().div_ceil(parts).next_multiple_of(DEPTH)
}

#[cfg(test)]
mod tests {
    use super::super::super::geometry::Geometry;
    use super::*;

    #[test]
    fn every_part_of_a_gradient_has_terms() {
        for (batch, size, channels, kernel) in [(1, 1, 1, 1), (128, 24, 3, 5), (128, 12, 64, 5)] {
            let geometry = Geometry {
                height: size,
                width: size,
                channels,
                kernel,
                padding: kernel / 2,
            };
            let sizes = Sizes {
                batch,
                geometry,
                filters: 64,
            };
            let taken = terms_of_a_part(sizes);
            let parts = sizes.pixels().div_ceil(taken);
            assert!((parts - 1) * taken < sizes.pixels(), "{sizes:?}");
            assert_eq!(taken % DEPTH, 0, "{sizes:?}");
        }
    }
}
