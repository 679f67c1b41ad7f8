//! Memory for sums over whole tensors. In: how many numbers are summed. Out: how a kernel is launched that
//! ends in `sum_of_grid`, and the two arguments that it needs for it. Knows no kernel.

use crate::worker::gpu::{Arg, Buffer, Gpu, Launch};
use candle_core::Result;

/// The sums of the blocks of a grid, and how many of them are there.
#[derive(Debug, Default)]
pub struct Sums {
    sums: Buffer<f64>,
    arrived: Buffer<u32>,
}

impl Sums {
    /// Numbers that each thread adds up before its block does, while the grid is not full.
    const EACH: usize = 4;

    /// Enough to keep every memory channel of a GPU busy; what one block adds up at the end.
    const MOST_BLOCKS: usize = 512;

    /// The grid for `count` numbers: the same for the same count, so that the order of a sum is, too.
    pub fn launch(count: usize) -> Launch {
        let blocks = count.div_ceil(Self::EACH * Launch::THREADS as usize);
        Launch::blocks(blocks.clamp(1, Self::MOST_BLOCKS), Launch::THREADS)
    }

    /// Memory for a launch: `double *sums, unsigned *arrived`. Kernels leave the latter zero.
    pub fn args(&mut self, gpu: &Gpu, launch: &Launch) -> Result<[Arg; 2]> {
        let sums = self.sums.at_least(gpu, launch.grid[0] as usize)?;
        if self.arrived.span().is_empty() {
            gpu.zero(self.arrived.at_least(gpu, 1)?)?;
        }
        Ok([sums.into(), self.arrived.span().into()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_as_large_as_its_numbers_need_up_to_a_bound() {
        let blocks = |count| Sums::launch(count).grid[0];
        assert_eq!([0, 1, 1024, 1025].map(blocks), [1, 1, 1, 2]);
        assert_eq!(blocks(usize::MAX / 2), 512);
    }
}
