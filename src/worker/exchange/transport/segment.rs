//! Memory that two processes have in common. It has no name: one process makes it and hands the other
//! an open file. The kernel keeps its size, so that no process can take it away under another.

use crate::worker::parameters::Memory;
use anyhow::{Context, Result, bail};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::ptr;

/// Numbers that another process may read and write too.
#[derive(Debug)]
pub struct Segment {
    /// All addresses that were taken, with those before and after the mapping.
    kept: *mut c_void,
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
        let segment = Self::map(file, elements)?;
        segment.ask_for_huge_pages();
        Ok(segment)
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

    /// Maps the file where huge pages could begin: to keep a share of the address space and to put the
    /// mapping into its middle is how a place is chosen.
    fn map(file: OwnedFd, elements: usize) -> Result<Self> {
        let (length, align) = (bytes(elements), alignment(elements));
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses takes nothing from anybody; the
        // second one replaces a part of it that is as long and lies within it. `Drop` unmaps both.
        unsafe {
            let kept = mmap_anonymous(
                ptr::null_mut(),
                length + align,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
            .context("taking addresses for shared memory")?;
            let start = kept.byte_add(kept.align_offset(align));
            let segment = Self {
                kept,
                start,
                elements,
                file,
            };
            let flags = MapFlags::SHARED | MapFlags::FIXED;
            mmap(start, length, protection, flags, &segment.file, 0)
                .context("mapping shared memory")?;
            Ok(segment)
        }
    }

    /// Asks for huge pages, which the kernel gives to shared memory only when it is asked for them by
    /// this call. With pages of 4 KiB a copy of numbers that no cache has took three times as long on a
    /// virtual machine, whose addresses are translated twice. A kernel that refuses leaves small pages.
    fn ask_for_huge_pages(&self) {
        if alignment(self.elements) < HUGE_PAGE {
            return;
        }
        // SAFETY: the mapping is ours and as long as that; writing zeros into new memory changes
        // nothing, but a huge page is made only where a small one is there.
        unsafe {
            for at in (0..bytes(self.elements)).step_by(HUGE_PAGE) {
                self.start.byte_add(at).cast::<u8>().write_volatile(0);
            }
            libc::madvise(self.start, bytes(self.elements), libc::MADV_COLLAPSE);
        }
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
        let length = bytes(self.elements) + alignment(self.elements);
        let _ = unsafe { munmap(self.kept, length) };
    }
}

/// The size of a huge page where those of the processor have one of 4 KiB.
const HUGE_PAGE: usize = 2 << 20;

/// Whole pages, and at least one: a mapping cannot be empty.
fn bytes(elements: usize) -> usize {
    let bytes = elements * size_of::<f32>();
    bytes.next_multiple_of(alignment(elements)).max(4096)
}

/// Huge pages where they are worth their time.
fn alignment(elements: usize) -> usize {
    match elements * size_of::<f32>() >= HUGE_PAGE {
        true => HUGE_PAGE,
        false => 4096,
    }
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
    fn large_segments_begin_where_a_huge_page_can_and_are_zeros() {
        let elements = (5 << 20) / size_of::<f32>() + 3;
        let ours = Segment::create(elements).unwrap();
        assert_eq!(ours.start as usize % HUGE_PAGE, 0);
        let file = ours.as_fd().try_clone_to_owned().unwrap();
        let theirs = Segment::open(file, elements).unwrap();
        // SAFETY: this thread alone uses the segment, one slice at a time.
        unsafe {
            let numbers = ours.memory().slice_mut(0..elements);
            assert!(numbers.iter().all(|number| *number == 0.0));
            numbers[elements - 1] = 4.0;
            assert_eq!(theirs.memory().slice(0..elements)[elements - 1], 4.0);
        }
    }

    #[test]
    fn segments_of_another_size_are_refused() {
        let ours = Segment::create(5000).unwrap();
        let file = ours.as_fd().try_clone_to_owned().unwrap();
        let error = Segment::open(file, 4000).unwrap_err().to_string();
        assert_eq!(
            error,
            "shared memory of 20480 bytes came where 16384 are due"
        );
    }

    #[test]
    fn segments_that_can_shrink_are_refused() {
        let file = memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 8192).unwrap();
        let error = Segment::open(file, 2048).unwrap_err().to_string();
        assert!(error.contains("could be changed"), "{error}");
    }
}
