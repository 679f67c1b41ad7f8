//! How one product is shared among the threads of the current rayon pool.

use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `0..length` cut into parts at multiples of `unit`, so that parts differ by one unit at most.
#[derive(Clone, Copy)]
pub struct Split {
    length: usize,
    unit: usize,
    pub parts: usize,
}

impl Split {
    /// As many parts for each of `threads`, none longer than `most` units.
    pub fn new(length: usize, unit: usize, most: usize, threads: usize) -> Self {
        let units = length.div_ceil(unit);
        let parts = threads * units.div_ceil(most * threads);
        Self {
            length,
            unit,
            parts: parts.min(units),
        }
    }

    pub fn part(self, index: usize) -> Range<usize> {
        let units = self.length.div_ceil(self.unit);
        let start = |index: usize| (units * index / self.parts * self.unit).min(self.length);
        start(index)..start(index + 1)
    }

    /// Numbers of the longest part, filled up to whole units.
    pub fn longest(self) -> usize {
        self.length.div_ceil(self.unit).div_ceil(self.parts) * self.unit
    }
}

/// The first `length` numbers of `room` that start at a cache line.
pub fn aligned<T: Copy + Default>(room: &mut Vec<T>, length: usize) -> &mut [T] {
    const LINE: usize = 64;
    let most = length + LINE / size_of::<T>();
    if room.len() < most {
        room.resize(most, T::default());
    }
    let start = room.as_ptr().align_offset(LINE);
    &mut room[start..start + length]
}

/// Runs `work` for each of `tasks` and one piece of `room` for each thread. Threads take the next
/// task when they are done with one, so a thread that is held up does not hold up the others.
pub fn share<T, F>(tasks: usize, room: &mut [T], piece: usize, work: F)
where
    T: Send,
    F: Fn(usize, &mut [T]) + Sync,
{
    let next = AtomicUsize::new(0);
    let take = |room: &mut [T]| {
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                break;
            }
            work(task, room);
        }
    };
    if room.len() <= piece {
        return take(room);
    }
    room.par_chunks_mut(piece).with_max_len(1).for_each(take);
}

/// A slice of which threads write different parts.
pub struct Parted<'a, T> {
    start: *mut T,
    length: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a mutable slice; who takes parts promises that they are apart.
unsafe impl<T: Send> Sync for Parted<'_, T> {}

impl<'a, T> Parted<'a, T> {
    pub fn new(whole: &'a mut [T]) -> Self {
        Self {
            start: whole.as_mut_ptr(),
            length: whole.len(),
            borrowed: PhantomData,
        }
    }

    /// # Safety
    /// No other part that is in use overlaps this one.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.length);
        // SAFETY: the range lies within the slice, and the caller promises that it is its own.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}
