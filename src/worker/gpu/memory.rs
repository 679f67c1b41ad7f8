//! What kernels are given. In: addresses and sizes. Out: plain values; nothing here touches a device.

use crate::worker::layer::Scalar;
use std::marker::PhantomData;

/// A type whose numbers lie in the memory of a GPU.
pub trait Numbers: Copy + Send + Sync + Default + 'static {}

impl Numbers for f32 {}
impl Numbers for f64 {}
impl Numbers for u8 {}
impl Numbers for u32 {}
impl Numbers for u64 {}

/// Where some numbers lie in a GPU's memory. It owns nothing, like the address that it is: whoever puts
/// work on a queue keeps the memory until that is done.
#[derive(Debug)]
pub struct Span<T> {
    address: u64,
    length: usize,
    numbers: PhantomData<T>,
}

impl<T> Clone for Span<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Span<T> {}

impl<T: Numbers> Span<T> {
    /// `length` numbers from `address` on.
    pub fn new(address: u64, length: usize) -> Self {
        Self {
            address,
            length,
            numbers: PhantomData,
        }
    }

    pub fn address(self) -> u64 {
        self.address
    }

    pub fn len(self) -> usize {
        self.length
    }

    pub fn is_empty(self) -> bool {
        self.length == 0
    }

    /// Whether kernels may take four of its numbers at once, from the first on: 16 bytes begin at
    /// multiples of 16.
    pub fn has_fours(self) -> bool {
        self.address.is_multiple_of(16)
    }

    /// `length` of its numbers, from number `first` on. Panics where there are fewer.
    pub fn part(self, first: usize, length: usize) -> Self {
        assert!(first + length <= self.length, "numbers of a span");
        Self::new(self.address + (first * size_of::<T>()) as u64, length)
    }
}

/// All numbers of one tensor, in order, and its dimensions.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    pub data: Span<T>,
    pub dims: &'a [usize],
}

/// What is known when gradients are asked for.
#[derive(Clone, Copy)]
pub struct Backward<'a, T, const N: usize> {
    pub args: [View<'a, T>; N],
    pub result: View<'a, T>,
    /// Of the loss, by each number of the result.
    pub gradient: View<'a, T>,
}

/// One argument of a kernel. Its parameter in CUDA has the type that is named here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arg {
    /// `T*` of any type.
    Pointer(u64),
    /// `unsigned`
    U32(u32),
    /// `unsigned long long`
    U64(u64),
    /// `float`
    F32(f32),
    /// `double`
    F64(f64),
}

impl Arg {
    /// A number of the type that the kernel computes with: `REAL`.
    pub fn real<T: Scalar>(number: f64) -> Self {
        match size_of::<T>() {
            4 => Self::F32(number as f32),
            _ => Self::F64(number),
        }
    }

    /// A size or an index, as `unsigned`. Panics where it is larger than 2^32 - 1, which no tensor of a
    /// GPU's memory is that any model here has.
    pub fn size(number: usize) -> Self {
        Self::U32(u32::try_from(number).expect("sizes of tensors fit into 32 bits"))
    }

    /// An address that may be missing: the null pointer.
    pub fn maybe<T: Numbers>(span: Option<Span<T>>) -> Self {
        Self::Pointer(span.map_or(0, Span::address))
    }
}

impl<T: Numbers> From<Span<T>> for Arg {
    fn from(span: Span<T>) -> Self {
        Self::Pointer(span.address())
    }
}

/// How many threads a kernel has, and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Blocks in each direction.
    pub grid: [u32; 3],
    /// Threads of a block in each direction.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory of each block.
    pub shared_bytes: u32,
}

impl Launch {
    /// Threads of a block where a kernel does not care.
    pub const THREADS: u32 = 256;

    /// One thread for each of `count` numbers, in blocks of [`Launch::THREADS`].
    pub fn each(count: usize) -> Self {
        let blocks = count.div_ceil(Self::THREADS as usize).max(1);
        Self::blocks(blocks, Self::THREADS)
    }

    /// `blocks` in a row, each of `threads` in a row.
    pub fn blocks(blocks: usize, threads: u32) -> Self {
        let blocks = u32::try_from(blocks).expect("a grid has fewer than 2^32 blocks");
        Self {
            grid: [blocks, 1, 1],
            block: [threads, 1, 1],
            shared_bytes: 0,
        }
    }

    pub fn with_shared(self, bytes: usize) -> Self {
        let shared_bytes = u32::try_from(bytes).expect("shared memory of a block is small");
        Self {
            shared_bytes,
            ..self
        }
    }
}

/// A product of matrices, all of them row by row without gaps: `c = alpha · op(a) · op(b) + beta · c`,
/// where `op(a)` is `(rows, inner)`, `op(b)` is `(inner, columns)` and `c` is `(rows, columns)`.
#[derive(Clone, Copy, Debug)]
pub struct Gemm<T> {
    pub rows: usize,
    pub columns: usize,
    pub inner: usize,
    pub a: Span<T>,
    /// `a` is stored as `(inner, rows)`.
    pub a_transposed: bool,
    pub b: Span<T>,
    /// `b` is stored as `(columns, inner)`.
    pub b_transposed: bool,
    pub c: Span<T>,
    pub alpha: f64,
    pub beta: f64,
    /// So many products, each with matrices that follow those of the one before.
    pub count: usize,
}

impl<T: Numbers> Gemm<T> {
    /// `c = a · b`, once.
    pub fn new([rows, inner, columns]: [usize; 3], a: Span<T>, b: Span<T>, c: Span<T>) -> Self {
        Self {
            rows,
            columns,
            inner,
            a,
            a_transposed: false,
            b,
            b_transposed: false,
            c,
            alpha: 1.0,
            beta: 0.0,
            count: 1,
        }
    }

    /// Panics where a matrix is longer than its memory.
    pub fn check(&self) {
        let fits =
            |span: Span<T>, rows: usize, columns: usize| span.len() >= self.count * rows * columns;
        assert!(fits(self.a, self.rows, self.inner), "first matrix");
        assert!(fits(self.b, self.inner, self.columns), "second matrix");
        assert!(fits(self.c, self.rows, self.columns), "product");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_span_begins_behind_what_is_left_out() {
        let part = Span::<f64>::new(1000, 10).part(3, 7);
        assert_eq!((part.address(), part.len()), (1024, 7));
        assert!(part.has_fours() && !part.part(1, 4).has_fours());
        let beyond = std::panic::catch_unwind(|| Span::<u8>::new(0, 4).part(2, 3));
        assert!(beyond.is_err());
    }

    #[test]
    fn there_is_a_thread_for_each_number() {
        assert_eq!(Launch::each(256).grid, [1, 1, 1]);
        assert_eq!(Launch::each(257).grid, [2, 1, 1]);
        assert_eq!(
            Launch::each(0).grid,
            [1, 1, 1],
            "CUDA refuses an empty grid"
        );
        assert_eq!(Arg::real::<f32>(0.5), Arg::F32(0.5));
        assert_eq!(Arg::real::<f64>(0.5), Arg::F64(0.5));
    }
}
