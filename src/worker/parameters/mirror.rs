//! Page-locked memory of the host for tensors of a GPU. In: where tensors lie on the GPU. Out: copies of
//! them that host code reads and writes, and copies back. Knows neither replicas nor what the numbers are.

use super::Memory;
use crate::worker::gpu::{Gpu, Pinned, Queue, Span};
use candle_core::Result;

/// Memory of the host as long as some tensors, one after the other. Like the [`Memory`] that it lends, it
/// leaves it to its users to keep apart.
#[derive(Debug)]
pub struct Mirror {
    parts: Vec<Memory>,
    _numbers: Pinned<f32>,
}

impl Mirror {
    /// Zeros for tensors of these lengths.
    pub fn new(gpu: &Gpu, lengths: &[usize]) -> Result<Self> {
        let numbers = Pinned::zeros(gpu, lengths.iter().sum())?;
        let mut start = numbers.start();
        let mut parts = Vec::with_capacity(lengths.len());
        for length in lengths {
            // SAFETY: the parts follow each other up to the end of the memory.
            unsafe {
                parts.push(Memory::from_raw(start, *length));
                start = start.add(*length);
            }
        }
        Ok(Self {
            parts,
            _numbers: numbers,
        })
    }

    /// The memory of each tensor.
    pub fn parts(&self) -> &[Memory] {
        &self.parts
    }
}

/// Puts on the queue copies of tensors to page-locked memory.
///
/// # Safety
/// Until that is done, the memory lives and nobody else uses it.
pub unsafe fn bring_down(queue: &Queue, from: &[Span<f32>], to: &[Memory]) -> Result<()> {
    assert_eq!(from.len(), to.len(), "as many tensors as places");
    from.iter().zip(to).try_for_each(|(from, to)| {
        // SAFETY: as promised.
        unsafe { queue.download_slice(*from, to.slice_mut(0..to.len())) }
    })
}

/// Puts on the queue copies of page-locked memory to tensors.
///
/// # Safety
/// Until that is done, the memory lives and nobody writes it.
pub unsafe fn take_up(queue: &Queue, from: &[Memory], to: &[Span<f32>]) -> Result<()> {
    assert_eq!(from.len(), to.len(), "as many places as tensors");
    from.iter().zip(to).try_for_each(|(from, to)| {
        // SAFETY: as promised.
        unsafe { queue.upload_slice(from.slice(0..from.len()), *to) }
    })
}
