//! Where numbers lie in the host's memory. In: tensors and slices. Out: addresses, of which whoever uses
//! them promises what types do not see.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor};
use std::ops::Range;
use std::sync::Mutex;

/// Where the numbers of one tensor lie. It owns nothing: who uses it promises that the tensor lives
/// and who else uses it.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    start: *mut f32,
    length: usize,
}

// SAFETY: an address is only a number until its unsafe methods are called, whose callers promise to
// keep apart.
unsafe impl Send for Memory {}
unsafe impl Sync for Memory {}

impl Memory {
    /// The memory of a contiguous f32 tensor on the CPU that begins with its storage.
    pub fn of(tensor: &Tensor) -> Result<Self> {
        let op = Address(Mutex::new(None));
        tensor.inplace_op1(&op)?;
        let found =
            op.0.into_inner()
                .expect("no thread panics while it holds this lock");
        Ok(found.expect("an operation that succeeds has run"))
    }

    /// The memory of a slice.
    pub fn of_slice(values: &mut [f32]) -> Self {
        Self {
            start: values.as_mut_ptr(),
            length: values.len(),
        }
    }

    /// So many numbers from `start` on.
    ///
    /// # Safety
    /// They lie within one allocation.
    pub unsafe fn from_raw(start: *mut f32, length: usize) -> Self {
        Self { start, length }
    }

    /// Numbers that it holds.
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where they begin, for those who read while another process may write.
    pub fn start(self) -> *mut f32 {
        self.start
    }

    /// Some of its numbers. Panics where they are not within it.
    ///
    /// # Safety
    /// The numbers live, and nobody writes them while the slice does.
    pub unsafe fn slice<'a>(self, elements: Range<usize>) -> &'a [f32] {
        // SAFETY: as promised by the caller; `part` lies within the memory.
        unsafe { std::slice::from_raw_parts(self.part(&elements), elements.len()) }
    }

    /// Some of its numbers, to be written. Panics where they are not within it.
    ///
    /// # Safety
    /// The numbers live, and nobody else reads or writes them while the slice does.
    pub unsafe fn slice_mut<'a>(self, elements: Range<usize>) -> &'a mut [f32] {
        // SAFETY: as promised by the caller; `part` lies within the memory.
        unsafe { std::slice::from_raw_parts_mut(self.part(&elements), elements.len()) }
    }

    fn part(self, elements: &Range<usize>) -> *mut f32 {
        assert!(
            elements.start <= elements.end && elements.end <= self.length,
            "elements {elements:?} of {}",
            self.length
        );
        // SAFETY: the start of the range was just seen to lie within the memory or at its end.
        unsafe { self.start.add(elements.start) }
    }
}

/// Finds where a tensor's storage lies; candle lends mutable storage to operations alone.
struct Address(Mutex<Option<Memory>>);

impl InplaceOp1 for Address {
    fn name(&self) -> &'static str {
        "address"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(values), true) = (
            storage,
            layout.is_contiguous() && layout.start_offset() == 0,
        ) else {
            candle_core::bail!("variables and gradients are contiguous f32 in this version");
        };
        let found = Memory::of_slice(&mut values[..layout.shape().elem_count()]);
        *self
            .0
            .lock()
            .expect("no thread panics while it holds this lock") = Some(found);
        Ok(())
    }
}
