//! Tables in the memory of a GPU, by which one kernel works on many arrays. Knows nothing of what the
//! arrays are.

use crate::worker::gpu::{Buffer, Gpu, Launch, Numbers, Pinned, Span};
use candle_core::Result;

/// Numbers of the host and their copy on a GPU.
#[derive(Debug)]
struct Copied<T> {
    host: Pinned<T>,
    device: Buffer<T>,
}

impl<T: Numbers> Copied<T> {
    fn new(gpu: &Gpu, length: usize) -> Result<Self> {
        let mut device = Buffer::default();
        device.at_least(gpu, length)?;
        let host = Pinned::zeros(gpu, length)?;
        Ok(Self { host, device })
    }

    /// Copies what the host has.
    fn upload(&self, gpu: &Gpu) -> Result<()> {
        let to = self.device.span();
        match to.is_empty() {
            true => Ok(()),
            false => gpu.queue().upload(&self.host, 0, to),
        }
    }
}

/// Words of 64 bits: addresses, lengths and bits of numbers.
#[derive(Debug)]
pub struct Table {
    gpu: Gpu,
    words: Copied<u64>,
    /// Whether the GPU has them.
    is_set: bool,
}

impl Table {
    pub fn new(gpu: &Gpu, length: usize) -> Result<Self> {
        Ok(Self {
            gpu: gpu.clone(),
            words: Copied::new(gpu, length)?,
            is_set: false,
        })
    }

    /// Gives the GPU these words, unless it has been given the same before. Words that are new cannot be
    /// set while a graph is captured: it would set them at each replay. Panics where their number is not
    /// that of the table.
    pub fn set(&mut self, words: &[u64]) -> Result<Span<u64>> {
        if !self.is_set || self.words.host.as_slice() != words {
            // What was given before may still be on its way. An error in a capture.
            self.gpu.synchronize()?;
            self.words.host.as_mut_slice().copy_from_slice(words);
            self.words.upload(&self.gpu)?;
            self.is_set = true;
        }
        Ok(self.span())
    }

    pub fn span(&self) -> Span<u64> {
        self.words.device.span()
    }
}

/// Which numbers of which array each block of a grid has: pairs of a number of an array and its first
/// number, `UpdateBlock`.
#[derive(Debug)]
pub struct Blocks {
    pairs: Copied<u32>,
    count: usize,
}

impl Blocks {
    /// Numbers of a thread, in one access.
    const EACH: usize = 4;

    /// Blocks for arrays of these lengths.
    pub fn new(gpu: &Gpu, lengths: &[usize]) -> Result<Self> {
        let pairs = pairs(lengths);
        let mut copied = Copied::new(gpu, pairs.len())?;
        copied.host.as_mut_slice().copy_from_slice(&pairs);
        copied.upload(gpu)?;
        Ok(Self {
            pairs: copied,
            count: pairs.len() / 2,
        })
    }

    /// One thread for every four numbers; none where there are no numbers.
    pub fn launch(&self) -> Option<Launch> {
        (self.count > 0).then(|| Launch::blocks(self.count, Launch::THREADS))
    }

    pub fn span(&self) -> Span<u32> {
        self.pairs.device.span()
    }
}

fn pairs(lengths: &[usize]) -> Vec<u32> {
    let number = |number: usize| u32::try_from(number).expect("arrays are short of 2^32 numbers");
    let step = Blocks::EACH * Launch::THREADS as usize;
    let blocks = |(array, length): (usize, &usize)| {
        let firsts = (0..*length).step_by(step);
        firsts.flat_map(move |first| [number(array), number(first)])
    };
    lengths.iter().enumerate().flat_map(blocks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_every_array_is_in_one_block() {
        assert_eq!(pairs(&[1024, 0, 1025, 1]), [0, 0, 2, 0, 2, 1024, 3, 0]);
        assert!(pairs(&[]).is_empty());
    }
}
