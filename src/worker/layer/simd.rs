//! Kernels that are written once and run at the vector width that the processor has.
//!
//! A kernel is generic over [`Vector`], one register of numbers. [`Level::run`] compiles it for each
//! [`Level`] and picks one at run time, so no build flag is needed to use AVX-512. The portable level
//! runs everywhere, also for f64, in which kernels are checked against the mathematics.
//!
//! A kernel's `run`, and every function that it calls in its loops, must be `#[inline(always)]`:
//! instructions of a level exist only inside of the function that enables them. Closures that are
//! handed to iterators are not inlined for sure, so inner loops are plain `for` loops over ranges.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
pub mod transpose;

use super::scalar::Scalar;

/// One register of numbers.
pub trait Vector: Copy {
    type Element: Scalar;
    /// What a comparison of two registers gives.
    type Mask: Copy;
    /// Numbers in a register.
    const LANES: usize;
    /// Registers that stand side by side in the tile of a product: with six rows of them, the
    /// accumulators, one row of factors and a number for all lanes fit into the register file.
    const COLUMNS: usize;

    fn splat(x: Self::Element) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self · factor + term`, rounded once where the level has such an instruction.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// The larger of the two, lane by lane; `other` where they are equal.
    fn max(self, other: Self) -> Self;
    /// `1 / √self` for positive normal numbers, within a few units in the last place.
    fn reciprocal_root(self) -> Self;
    /// Correctly rounded.
    fn square_root(self) -> Self;
    /// Correctly rounded.
    fn div(self, other: Self) -> Self;
    /// Lanes in which `self > other`.
    fn greater(self, other: Self) -> Self::Mask;
    /// Lanes in which `self = other`.
    fn equal(self, other: Self) -> Self::Mask;
    /// `self` where the mask is set, else `other`.
    fn select(self, mask: Self::Mask, other: Self) -> Self;
    /// The sum of all lanes, in an order that the level fixes.
    fn sum(self) -> Self::Element;
    /// The lanes of the two in turn: first those of their lower halves, then those of their upper ones.
    fn interleave(self, other: Self) -> [Self; 2];

    /// # Safety
    /// `LANES` numbers can be read.
    unsafe fn load(from: *const Self::Element) -> Self;
    /// The first `count` lanes; the others are zero.
    ///
    /// # Safety
    /// `count` numbers can be read, at most `LANES`.
    unsafe fn load_first(from: *const Self::Element, count: usize) -> Self;
    /// # Safety
    /// `LANES` numbers can be written.
    unsafe fn store(self, to: *mut Self::Element);
    /// # Safety
    /// `count` numbers can be written, at most `LANES`.
    unsafe fn store_first(self, to: *mut Self::Element, count: usize);
    /// Stores past the caches, for what is not read again soon. [`fence`](Self::fence) comes before
    /// another thread may read it.
    ///
    /// # Safety
    /// `LANES` numbers can be written, and `to` is a multiple of the register's size.
    unsafe fn stream(self, to: *mut Self::Element) {
        // SAFETY: as promised.
        unsafe { self.store(to) }
    }
    /// Orders all earlier [`stream`](Self::stream)s before all later stores.
    fn fence() {}
    /// Asks for the cache line at an address, which may be any, in the second-level cache.
    fn prefetch(_: *const Self::Element) {}

    /// Bytes as numbers.
    ///
    /// # Safety
    /// `LANES` bytes can be read.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// Whole numbers from 0 to 255 as bytes.
    ///
    /// # Safety
    /// `LANES` bytes can be written.
    unsafe fn store_bytes(self, to: *mut u8);

    /// The first `count` bytes as numbers; the other lanes are zero.
    ///
    /// # Safety
    /// `count` bytes can be read, at most `LANES`.
    #[inline(always)]
    unsafe fn load_first_bytes(from: *const u8, count: usize) -> Self {
        let mut bytes = [0; MOST_LANES];
        // SAFETY: the caller promises `count` bytes, and `bytes` has room for `LANES`.
        unsafe {
            if count == Self::LANES {
                return Self::load_bytes(from);
            }
            from.copy_to_nonoverlapping(bytes.as_mut_ptr(), count);
            Self::load_bytes(bytes.as_ptr())
        }
    }

    /// The first `count` lanes, whole numbers from 0 to 255, as bytes.
    ///
    /// # Safety
    /// `count` bytes can be written, at most `LANES`. The other lanes, too, are such numbers.
    #[inline(always)]
    unsafe fn store_first_bytes(self, to: *mut u8, count: usize) {
        let mut bytes = [0; MOST_LANES];
        // SAFETY: the caller promises room for `count` bytes, and `bytes` has room for `LANES`.
        unsafe {
            if count == Self::LANES {
                return self.store_bytes(to);
            }
            self.store_bytes(bytes.as_mut_ptr());
            bytes.as_ptr().copy_to_nonoverlapping(to, count);
        }
    }
}

/// The lanes of the widest level.
const MOST_LANES: usize = 16;

/// Work on numbers of one type, written for any width.
pub trait Kernel<T: Scalar> {
    type Output;

    /// Must be `#[inline(always)]`.
    fn run<V: Vector<Element = T>>(self) -> Self::Output;
}

/// A set of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Avx512,
    /// With fused multiply and add.
    Avx2,
    /// What every processor of the architecture has.
    Portable,
}

impl Level {
    /// The widest that this processor has.
    pub fn best() -> Self {
        Self::available()
            .next()
            .expect("the portable level is always there")
    }

    /// All that this processor has, the widest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Avx512, Self::Avx2, Self::Portable]
            .into_iter()
            .filter(|level| level.is_available())
    }

    /// Runs `kernel` with this level's instructions; numbers that the level has no registers for,
    /// as f64 here, take the portable ones. Panics where the processor lacks the level.
    pub fn run<T: Scalar, K: Kernel<T>>(self, kernel: K) -> K::Output {
        assert!(self.is_available(), "this processor has no {self:?}");
        T::run_at(self, kernel)
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        match self {
            Self::Avx512 => avx512::is_available(),
            Self::Avx2 => avx2::is_available(),
            Self::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Self::Portable
    }
}

/// Runs `kernel` at the widest level.
pub fn run<T: Scalar, K: Kernel<T>>(kernel: K) -> K::Output {
    Level::best().run(kernel)
}

/// Runs the body for each register of a row of `width` numbers: from number `c` on, `count` lanes. The
/// body stands there twice, so that `count` is the constant `LANES` but at the end of a row whose
/// width is no multiple of it.
macro_rules! for_registers {
    ($V:ident, $width:expr, |$c:ident, $count:ident| $body:block) => {{
        let width: usize = $width;
        let tail = width % $V::LANES;
        for $c in (0..width - tail).step_by($V::LANES) {
            let $count = $V::LANES;
            $body
        }
        if tail > 0 {
            let ($c, $count) = (width - tail, tail);
            $body
        }
    }};
}
pub(super) use for_registers;

/// The body with the number of registers that stand side by side as the constant `$C`, from 1 to as
/// many as the level has room for.
macro_rules! with_columns {
    ($V:ident, $registers:expr, |$C:ident| $body:expr) => {
        match $registers {
            1 => with_columns!(@ $C, 1, $body),
            2 if $V::COLUMNS >= 2 => with_columns!(@ $C, 2, $body),
            3 if $V::COLUMNS >= 3 => with_columns!(@ $C, 3, $body),
            4 if $V::COLUMNS >= 4 => with_columns!(@ $C, 4, $body),
            registers => panic!("{registers} registers side by side"),
        }
    };
    (@ $C:ident, $count:literal, $body:expr) => {{
        const $C: usize = $count;
        $body
    }};
}
pub(super) use with_columns;

/// One step of Newton's method for `1 / √x` from an estimate of it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn refine_reciprocal_root<V: Vector<Element = f32>>(x: V, estimate: V) -> V {
    let half = V::splat(-0.5).mul(x).mul(estimate);
    estimate.mul(half.mul_add(estimate, V::splat(1.5)))
}

/// [`Level::run`] for f32, with the level known to be available.
#[cfg(target_arch = "x86_64")]
pub(super) fn run_f32<K: Kernel<f32>>(level: Level, kernel: K) -> K::Output {
    match level {
        // SAFETY: `Level::run` has asked the processor.
        Level::Avx512 => unsafe { avx512::run(kernel) },
        // SAFETY: the same.
        Level::Avx2 => unsafe { avx2::run(kernel) },
        Level::Portable => kernel.run::<portable::Lanes<f32, 4>>(),
    }
}

/// [`Level::run`] for f32: there is one level.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn run_f32<K: Kernel<f32>>(_: Level, kernel: K) -> K::Output {
    kernel.run::<portable::Lanes<f32, 4>>()
}

/// [`Level::run`] for f64, which is there to check and not to be fast.
pub(super) fn run_f64<K: Kernel<f64>>(_: Level, kernel: K) -> K::Output {
    kernel.run::<portable::Lanes<f64, 4>>()
}

#[cfg(test)]
mod tests;
