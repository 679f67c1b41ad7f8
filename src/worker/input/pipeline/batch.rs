//! In: values and labels, one example after the other. Out: a batch on the host. Knows where its numbers
//! lie, and nothing of what they are.

use super::Shape;
use crate::worker::gpu::{Gpu, Pinned, Queue, Span};
use candle_core::{Result, bail};
use std::mem::MaybeUninit;
use std::ops::Deref;

/// A batch on the host.
#[derive(Debug, Default, PartialEq)]
pub struct HostBatch {
    /// Of all examples, one after the other.
    pub values: Values,
    pub labels: Vec<u8>,
}

impl HostBatch {
    /// A batch without examples, and with room for all that it will have.
    pub(super) fn empty(shape: &Shape) -> Self {
        Self {
            values: Values::Own(Vec::with_capacity(shape.batch * shape.width)),
            labels: Vec::with_capacity(shape.batch),
        }
    }

    /// The same in memory from which a GPU copies by itself. To be kept: it is slow to get and to give back.
    pub fn pinned(shape: &Shape, gpu: &Gpu) -> Result<Self> {
        Ok(Self {
            values: Values::Pinned {
                memory: Pinned::zeros(gpu, shape.batch * shape.width)?,
                filled: 0,
            },
            labels: Vec::with_capacity(shape.batch),
        })
    }

    /// Without examples again, in the same memory.
    pub fn clear(&mut self) {
        match &mut self.values {
            Values::Own(values) => values.clear(),
            Values::Pinned { filled, .. } => *filled = 0,
        }
        self.labels.clear();
    }
}

/// Numbers of the examples of a batch.
#[derive(Debug)]
pub enum Values {
    /// In memory of their own.
    Own(Vec<f32>),
    /// The first `filled` numbers of page-locked memory.
    Pinned { memory: Pinned<f32>, filled: usize },
}

impl Values {
    /// Appends `N` numbers. Panics where page-locked memory has no room for them.
    ///
    /// # Safety
    /// `write` writes all of them.
    #[inline]
    pub unsafe fn append<const N: usize>(
        &mut self,
        write: impl FnOnce(&mut [MaybeUninit<f32>; N]),
    ) {
        match self {
            Self::Own(values) => {
                values.reserve(N);
                let (room, _) = (values.spare_capacity_mut().split_first_chunk_mut())
                    .expect("N numbers were reserved");
                write(room);
                // SAFETY: the caller's promise.
                unsafe { values.set_len(values.len() + N) };
            }
            Self::Pinned { memory, filled } => {
                let room: &mut [f32; N] = memory.as_mut_slice()[*filled..]
                    .first_chunk_mut()
                    .expect("a batch has no more examples than it was made for");
                // SAFETY: numbers may be written where numbers are; the caller promises to write nothing else.
                write(unsafe { &mut *std::ptr::from_mut(room).cast() });
                *filled += N;
            }
        }
    }
}

impl Values {
    /// Puts a copy of all numbers to the GPU's memory on `queue`. They stay as they are until it is done.
    ///
    /// # Errors
    /// The memory is not page-locked.
    pub fn upload(&self, queue: &Queue, to: Span<f32>) -> Result<()> {
        match self {
            Self::Own(_) => bail!("a batch to copy beside a step is not in page-locked memory"),
            Self::Pinned { memory, .. } => queue.upload(memory, 0, to),
        }
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Own(values) => values,
            Self::Pinned { memory, filled } => &memory.as_slice()[..*filled],
        }
    }
}

impl Default for Values {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// Gives the numbers to whoever takes a vector: their own memory, or a copy of what is page-locked.
impl From<Values> for Vec<f32> {
    fn from(values: Values) -> Self {
        match values {
            Values::Own(values) => values,
            pinned => pinned.to_vec(),
        }
    }
}
