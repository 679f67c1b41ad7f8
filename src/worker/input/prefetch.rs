//! In: something in memory. Out: nothing; it is on its way to the processor's caches. For examples that
//! lie anywhere in a large buffer, of which it is known early which ones come next.

/// Bytes that a cache loads together.
const LINE: usize = 64;

/// Asks for all of `value`, without waiting.
#[inline]
pub fn prefetch<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    for at in (0..size_of::<T>()).step_by(LINE) {
        line(start.wrapping_add(at));
    }
}

#[cfg(target_arch = "x86_64")]
fn line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the instruction belongs to every processor of the architecture and has no effect on memory.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn line(_: *const u8) {}
