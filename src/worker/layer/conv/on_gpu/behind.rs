//! What stands behind a convolution, on a GPU: launches of the kernels in `behind.cu` and `behind_back.cu`.

use super::super::super::lrn::Lrn;
use super::super::super::scalar::Scalar;
use super::super::pass::{Behind, Pass};
use super::{Activation, GpuRoom};
use crate::worker::gpu::{Arg, Gpu, Launch, Span};
use candle_core::Result;

/// Threads of a block.
const THREADS: usize = 256;
/// Blocks that sum over pixels: few rows of sums to be added up, and as many as are on a GPU of 108 or more
/// multiprocessors at once, six on each.
const BLOCKS: usize = 640;
/// Bytes of shared memory that every block may have, and that a block takes if it has the choice.
const SHARED: usize = 48 << 10;
const PREFERRED_SHARED: usize = 24 << 10;

/// The stage behind the convolution of one batch.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    pub gpu: &'a Gpu,
    pub pass: &'a Pass,
    pub batch: usize,
    /// Whether a thread has four neighbouring channels.
    pub takes_fours: bool,
}

/// A block of threads, so many for the channels of each of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    lanes: usize,
    pixels: usize,
}

impl Block {
    /// For pixels whose channels take so many threads.
    fn of(lanes: usize) -> Self {
        let lanes = lanes.next_power_of_two().min(THREADS);
        Self {
            lanes,
            pixels: THREADS / lanes,
        }
    }

    /// So many blocks, and columns of them.
    fn launch(self, blocks: usize, columns: usize) -> Launch {
        let int = |count| u32::try_from(count).expect("a grid has fewer than 2^32 blocks");
        Launch {
            grid: [int(blocks), int(columns), 1],
            block: [int(self.lanes), int(self.pixels), 1],
            shared_bytes: 0,
        }
    }
}

impl Stage<'_> {
    /// Overwrites `out` by what the convolution has given, and keeps what the way back needs.
    pub fn forward<T: Scalar>(
        self,
        whole: Span<T>,
        b: Span<T>,
        out: Span<T>,
        room: &mut GpuRoom<T>,
    ) -> Result<()> {
        if self.pass.behind == Behind::Nothing {
            return self.pass.activation.add_biases_on_gpu(self.gpu, out, b);
        }
        let places = room.places.at_least(self.gpu, out.len())?;
        let [whole, b, y, places] = [whole.into(), b.into(), out.into(), places.into()];
        match self.pass.behind {
            Behind::Nothing | Behind::Maxima => {
                let mut args = vec![whole, b, y, places, Arg::size(out.len())];
                args.extend(self.windows());
                args.extend([self.pass.activation.is_rectified(), self.fours()]);
                let launch = Launch::each(out.len() / self.of_a_thread());
                self.gpu.launch::<T>("conv_maxima", launch, &args)
            }
            Behind::NormalisedMaxima(lrn) => {
                let maxima = room.maxima.at_least(self.gpu, out.len())?;
                let block = self.block();
                let pixels = out.len() / self.pass.filters;
                let mut args = vec![whole, b, y, maxima.into(), places, Arg::size(pixels)];
                args.extend(self.windows());
                args.push(self.pass.activation.is_rectified());
                args.extend(normal::<T>(lrn));
                args.push(self.fours());
                let launch = block.launch(pixels.div_ceil(block.pixels), 1);
                let shared = self.shared::<T>(block.pixels)?;
                let launch = launch.with_shared(shared);
                self.gpu
                    .launch::<T>("conv_normalised_maxima", launch, &args)
            }
            Behind::MaximaOfNormalised(lrn) => {
                let run = self.run::<T>();
                let mut args = vec![whole, b, y, places, Arg::size(run)];
                args.extend(self.windows());
                args.push(self.pass.activation.is_rectified());
                args.extend(normal::<T>(lrn));
                args.push(self.fours());
                let [height, width] = self.pass.result_size();
                let blocks = self.batch * height * width.div_ceil(run);
                let shared = self.shared::<T>(pixels_of(run))?;
                let launch = Launch::blocks(blocks, THREADS as u32).with_shared(shared);
                self.gpu
                    .launch::<T>("conv_maxima_of_normalised", launch, &args)
            }
        }
    }

    /// From results, gradients by them, and biases: the gradient by what the convolution gives, and rows of
    /// sums over its pixels.
    pub fn backward<T: Scalar>(
        self,
        [y, dy, b]: [Span<T>; 3],
        room: &mut GpuRoom<T>,
    ) -> Result<(Span<T>, Span<T>)> {
        match self.pass.behind {
            Behind::Nothing => self.through_activation(y, dy, room),
            Behind::Maxima => {
                let sums = self.sums(self.pixels(), room)?;
                Ok((self.spread(dy, Some(sums), room)?, sums))
            }
            Behind::NormalisedMaxima(lrn) => {
                let maxima = room.maxima.at_least(self.gpu, dy.len())?;
                let places = room.places.at_least(self.gpu, dy.len())?;
                let of_maxima = room.of_maxima.at_least(self.gpu, dy.len())?;
                let known = [maxima.into(), dy.into(), places.into(), of_maxima.into()];
                let pixels = dy.len() / self.pass.filters;
                let sums = self.sums(pixels, room)?;
                let mut args = known.to_vec();
                args.extend([sums.into(), Arg::size(pixels), Arg::size(self.pass.filters)]);
                args.extend(normal::<T>(lrn));
                args.push(self.fours());
                let launch = self.launch_with_pixels::<T>(sums)?;
                self.gpu
                    .launch::<T>("conv_normalised_maxima_back", launch, &args)?;
                Ok((self.spread(of_maxima, None, room)?, sums))
            }
            Behind::MaximaOfNormalised(lrn) => {
                let count = self.pixels() * self.pass.filters;
                let [whole, before] = [&mut room.whole, &mut room.before]
                    .map(|buffer| buffer.at_least(self.gpu, count));
                let (whole, before) = (whole?, before?);
                let places = room.places.at_least(self.gpu, dy.len())?;
                let sums = self.sums(self.pixels(), room)?;
                let mut args = vec![whole.into(), b.into(), dy.into(), places.into()];
                args.extend([before.into(), sums.into(), Arg::size(self.pixels())]);
                args.extend(self.windows());
                args.push(self.pass.activation.is_rectified());
                args.extend(normal::<T>(lrn));
                args.push(self.fours());
                let launch = self.launch_with_pixels::<T>(sums)?;
                self.gpu
                    .launch::<T>("conv_maxima_of_normalised_back", launch, &args)?;
                Ok((before, sums))
            }
        }
    }

    fn through_activation<T: Scalar>(
        self,
        y: Span<T>,
        dy: Span<T>,
        room: &mut GpuRoom<T>,
    ) -> Result<(Span<T>, Span<T>)> {
        let (y, before) = match self.pass.activation {
            Activation::Identity => (None, None),
            Activation::Relu => (Some(y), Some(room.before.at_least(self.gpu, dy.len())?)),
        };
        let sums = self.sums(self.pixels(), room)?;
        let args = [
            Arg::maybe(y),
            dy.into(),
            Arg::maybe(before),
            sums.into(),
            Arg::size(self.pixels()),
            Arg::size(self.pass.filters),
            self.fours(),
        ];
        let launch = self.launch_by_channels(sums);
        self.gpu.launch::<T>("conv_rectified_back", launch, &args)?;
        Ok((before.unwrap_or(dy), sums))
    }

    /// The gradients by maxima at the places where they were found.
    fn spread<T: Scalar>(
        self,
        dy: Span<T>,
        sums: Option<Span<T>>,
        room: &mut GpuRoom<T>,
    ) -> Result<Span<T>> {
        let count = self.pixels() * self.pass.filters;
        let before = room.before.at_least(self.gpu, count)?;
        let places = room.places.at_least(self.gpu, dy.len())?;
        let mut args = vec![dy.into(), places.into(), before.into(), Arg::maybe(sums)];
        args.push(Arg::size(self.pixels()));
        args.extend(self.windows());
        args.push(self.fours());
        let launch = match sums {
            Some(sums) => self.launch_by_channels(sums),
            None => self.by_channels(self.pixels().div_ceil(self.block().pixels)),
        };
        self.gpu.launch::<T>("conv_maxima_back", launch, &args)?;
        Ok(before)
    }

    /// Channels that a thread has.
    fn of_a_thread(self) -> usize {
        if self.takes_fours { 4 } else { 1 }
    }

    /// Threads that the channels of a pixel take.
    fn lanes(self) -> usize {
        self.pass.filters / self.of_a_thread()
    }

    fn block(self) -> Block {
        Block::of(self.lanes())
    }

    /// As kernels are told.
    fn fours(self) -> Arg {
        Arg::U32(u32::from(self.takes_fours))
    }

    /// Pixels of what the convolution gives.
    fn pixels(self) -> usize {
        self.batch * self.pass.geometry.pixels()
    }

    /// Room for a row of sums for each block that takes some of so many pixels.
    fn sums<T: Scalar>(self, pixels: usize, room: &mut GpuRoom<T>) -> Result<Span<T>> {
        let block = self.block();
        let rows = pixels.div_ceil(block.pixels).min(BLOCKS);
        room.sums.at_least(self.gpu, rows * self.pass.filters)
    }

    /// A block for each row of `sums`, in as many columns of blocks as there are channels.
    fn launch_by_channels<T: Scalar>(self, sums: Span<T>) -> Launch {
        self.by_channels(sums.len() / self.pass.filters)
    }

    fn by_channels(self, blocks: usize) -> Launch {
        let block = self.block();
        block.launch(blocks, self.lanes().div_ceil(block.lanes))
    }

    /// A block for each row of `sums`, with shared memory for three of its pixels' numbers.
    fn launch_with_pixels<T: Scalar>(self, sums: Span<T>) -> Result<Launch> {
        let block = self.block();
        let shared = self.shared::<T>(3 * block.pixels)?;
        let launch = block.launch(sums.len() / self.pass.filters, 1);
        Ok(launch.with_shared(shared))
    }

    /// Bytes for so many pixels. An error where a block cannot have them.
    fn shared<T: Scalar>(self, pixels: usize) -> Result<usize> {
        let filters = self.pass.filters;
        match pixels * filters * size_of::<T>() {
            bytes if bytes <= SHARED => Ok(bytes),
            _ => candle_core::bail!(
                "normalisation behind a convolution with {filters} filters has no kernel for GPUs: their \
                 numbers do not fit into the memory of a block"
            ),
        }
    }

    /// Maxima of a row that a block of `conv_maxima_of_normalised` has.
    fn run<T: Scalar>(self) -> usize {
        let [_, width] = self.pass.result_size();
        let bytes = |run: &usize| pixels_of(*run) * self.pass.filters * size_of::<T>();
        let fits = |run: &usize| bytes(run) <= PREFERRED_SHARED;
        let most = (1..=width).rev().find(fits).unwrap_or(1);
        width.div_ceil(width.div_ceil(most))
    }

    /// Height, width and channels of what is pooled.
    fn windows(self) -> [Arg; 3] {
        let windows = self.pass.windows;
        [windows.height, windows.width, windows.channels].map(Arg::size)
    }
}

/// Pixels that so many neighbouring maxima are of, before and after they are normalised.
fn pixels_of(run: usize) -> usize {
    2 * 3 * (2 * run + 1)
}

/// Radius, bias and α of a normalisation.
fn normal<T: Scalar>(lrn: Lrn) -> [Arg; 3] {
    [
        Arg::size(lrn.radius),
        Arg::real::<T>(lrn.bias),
        Arg::real::<T>(lrn.alpha),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_as_many_threads_for_any_number_of_channels() {
        for (lanes, of_block) in [(1, 1), (3, 4), (64, 64), (96, 128), (1000, 256)] {
            let block = Block::of(lanes);
            assert_eq!(block.lanes, of_block);
            assert_eq!(block.lanes * block.pixels, THREADS);
        }
    }
}
