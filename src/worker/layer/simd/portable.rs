//! Registers as arrays, for processors and numbers without a level of their own. The compiler turns
//! them into what vector instructions it may use.

use super::super::scalar::Scalar;
use super::Vector;
use std::array::from_fn;

/// `N` numbers.
#[derive(Clone, Copy)]
pub struct Lanes<T, const N: usize>([T; N]);

impl<T: Scalar, const N: usize> Lanes<T, N> {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        Self(from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl<T: Scalar, const N: usize> Vector for Lanes<T, N> {
    type Element = T;
    type Mask = [bool; N];
    const LANES: usize = N;
    const COLUMNS: usize = 2;

    #[inline(always)]
    fn splat(x: T) -> Self {
        Self([x; N])
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    /// Rounded twice: without the instruction, rounding once is a function call.
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        self.mul(factor).add(term)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, Scalar::or_larger)
    }

    #[inline(always)]
    fn reciprocal_root(self) -> Self {
        Self(self.0.map(|x| T::one() / x.square_root()))
    }

    #[inline(always)]
    fn square_root(self) -> Self {
        Self(self.0.map(Scalar::square_root))
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self::Mask {
        from_fn(|i| self.0[i] > other.0[i])
    }

    #[inline(always)]
    fn equal(self, other: Self) -> Self::Mask {
        from_fn(|i| self.0[i] == other.0[i])
    }

    #[inline(always)]
    fn select(self, mask: Self::Mask, other: Self) -> Self {
        Self(from_fn(|i| if mask[i] { self.0[i] } else { other.0[i] }))
    }

    #[inline(always)]
    fn sum(self) -> T {
        self.0.into_iter().fold(T::zero(), |sum, x| sum + x)
    }

    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        let from = |first: usize| Self(from_fn(|i| [self.0, other.0][i % 2][first + i / 2]));
        [from(0), from(N / 2)]
    }

    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller promises `N` numbers; an array of them is aligned as one.
        unsafe { Self(from.cast::<[T; N]>().read()) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const T, count: usize) -> Self {
        let mut lanes = [T::zero(); N];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller promises `count` numbers.
            *lane = unsafe { from.add(i).read() };
        }
        Self(lanes)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: the caller promises room for `N` numbers.
        unsafe { to.cast::<[T; N]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut T, count: usize) {
        for (i, lane) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: the caller promises room for `count` numbers.
            unsafe { to.add(i).write(lane) };
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: the caller promises `N` bytes.
        let bytes = unsafe { from.cast::<[u8; N]>().read() };
        Self(bytes.map(T::from_byte))
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8) {
        // SAFETY: the caller promises room for `N` bytes.
        unsafe { to.cast::<[u8; N]>().write(self.0.map(T::to_byte)) }
    }
}
