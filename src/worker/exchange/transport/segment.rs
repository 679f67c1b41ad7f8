//! Memory that two processes have in common. It has no name: one process makes it and hands the other
//! an open file. The kernel keeps its size, so that no process can take it away under another.

use crate::worker::parameters::Memory;
use anyhow::{Context, Result, bail};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::ptr;

/// Numbers that another process may read and write too.
#[derive(Debug)]
pub struct Segment {
    start: *mut c_void,
    elements: usize,
    file: OwnedFd,
}

// SAFETY: the mapping belongs to the process, not to a thread; all access goes through `memory`,
// whose users promise to keep apart.
unsafe impl Send for Segment {}
unsafe impl Sync for Segment {}

impl Segment {
    /// Makes a segment of so many zeros.
    pub fn create(elements: usize) -> Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("xrun", flags).context("making shared memory")?;
        ftruncate(&file, bytes(elements) as u64)
            .with_context(|| format!("taking {} bytes of shared memory", bytes(elements)))?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)
            .context("fixing the size of shared memory")?;
        Self::map(file, elements)
    }

    /// Takes the segment that another process has made.
    ///
    /// # Errors
    /// Where its size is another one, or could be changed.
    pub fn open(file: OwnedFd, elements: usize) -> Result<Self> {
        let size = fstat(&file).context("looking at shared memory")?.st_size;
        if size as usize != bytes(elements) {
            bail!(
                "shared memory of {size} bytes came where {} are due",
                bytes(elements)
            );
        }
        let seals = fcntl_get_seals(&file).context("looking at shared memory")?;
        if !seals.contains(SealFlags::SHRINK) {
            bail!("shared memory came whose size could be changed under us");
        }
        Self::map(file, elements)
    }

    fn map(file: OwnedFd, elements: usize) -> Result<Self> {
        // SAFETY: a new mapping at a place that the kernel chooses takes nothing from anybody.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                bytes(elements),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::POPULATE,
                &file,
                0,
            )
        };
        Ok(Self {
            start: start.context("mapping shared memory")?,
            elements,
            file,
        })
    }

    /// Its numbers. They live as long as the segment.
    pub fn memory(&self) -> Memory {
        // SAFETY: the mapping is as long as that, aligned to a page, and stays until `drop`. No slice
        // lives on: `Memory` keeps the address alone.
        Memory::of_slice(unsafe {
            std::slice::from_raw_parts_mut(self.start.cast(), self.elements)
        })
    }

    /// Where it begins: at a page. Valid as long as the segment lives.
    pub fn start(&self) -> *mut f32 {
        self.start.cast()
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and who used its numbers has promised to be done.
        let _ = unsafe { munmap(self.start, bytes(self.elements)) };
    }
}

/// At least a page: a mapping cannot be empty.
fn bytes(elements: usize) -> usize {
    (elements * size_of::<f32>()).max(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_the_same_numbers() {
        let ours = Segment::create(3).unwrap();
        let file = ours.as_fd().try_clone_to_owned().unwrap();
        let theirs = Segment::open(file, 3).unwrap();
        // SAFETY: this thread alone uses the segment, one slice at a time.
        unsafe {
            ours.memory()
                .slice_mut(0..3)
                .copy_from_slice(&[1.0, 2.0, 3.0]);
            assert_eq!(theirs.memory().slice(0..3), [1.0, 2.0, 3.0]);
        }
    }

    #[test]
    fn segments_of_another_size_are_refused() {
        let ours = Segment::create(5000).unwrap();
        let file = ours.as_fd().try_clone_to_owned().unwrap();
        let error = Segment::open(file, 4000).unwrap_err().to_string();
        assert_eq!(
            error,
            "shared memory of 20000 bytes came where 16000 are due"
        );
    }

    #[test]
    fn segments_that_can_shrink_are_refused() {
        let file = memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 8000).unwrap();
        let error = Segment::open(file, 2000).unwrap_err().to_string();
        assert!(error.contains("could be changed"), "{error}");
    }
}
