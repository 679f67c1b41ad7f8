//! Filters to their values at all points, and sums at all points back to filters: once for all
//! images, split by input channels over the threads of the current pool.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector};
use super::Winograd;
use super::points::Points;
use super::tiling::Square;
use super::transform::{Map, middle, transform};
use rayon::prelude::*;
use std::marker::PhantomData;

/// Squares of rows, one square for each channel: `(I, I, channels, width)` to
/// `(O, O, channels, width)`, with widths of their own.
pub struct Squares<'a, T> {
    pub from: &'a [T],
    pub from_width: usize,
    pub to: &'a mut [T],
    pub to_width: usize,
}

impl<T: Scalar> Squares<'_, T> {
    /// Maps each square by `L`.
    pub fn map<L, const N: usize, const I: usize, const O: usize>(self, plan: &Winograd)
    where
        L: Map<N, I, O> + Send,
    {
        let channels = plan.geometry.channels;
        assert_eq!(self.from.len(), I * I * channels * self.from_width);
        assert_eq!(self.to.len(), O * O * channels * self.to_width);
        let part = channels.div_ceil(rayon::current_num_threads());
        let mut shares: Vec<_> = (0..channels.div_ceil(part))
            .map(|index| Share::<T, L, N, I, O> {
                from: self.from,
                from_width: self.from_width,
                channels,
                first: index * part,
                to: Vec::with_capacity(O * O),
                to_width: self.to_width,
                map: PhantomData,
            })
            .collect();
        for to in self.to.chunks_mut(channels * self.to_width) {
            let parts = to.chunks_mut(part * self.to_width);
            for (share, to) in shares.iter_mut().zip(parts) {
                share.to.push(to);
            }
        }
        shares
            .into_par_iter()
            .for_each(|share| plan.level.run(share));
    }
}

/// The squares of some channels.
struct Share<'a, T, L, const N: usize, const I: usize, const O: usize> {
    /// Those of all channels.
    from: &'a [T],
    from_width: usize,
    channels: usize,
    /// The first channel of this share.
    first: usize,
    /// For each place of the square, the rows of this share.
    to: Vec<&'a mut [T]>,
    to_width: usize,
    map: PhantomData<L>,
}

impl<T, L, const N: usize, const I: usize, const O: usize> Kernel<T> for Share<'_, T, L, N, I, O>
where
    T: Scalar,
    L: Map<N, I, O>,
{
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(mut self) {
        let points = Points::<V, N>::new();
        let mut between = middle();
        for channel in 0..self.to[0].len() / self.to_width {
            let row = (self.first + channel) * self.from_width;
            let from = Square::<T, I>::spaced(
                self.from[row..].as_ptr().cast_mut(),
                self.channels * self.from_width,
                self.from_width,
            );
            let mut to = Square::<T, O>::spaced(std::ptr::null_mut(), 0, self.to_width);
            for i in 0..O {
                for j in 0..O {
                    to.rows[i][j] = self.to[i * O + j][channel * self.to_width..].as_mut_ptr();
                }
            }
            // SAFETY: `map` has checked that `from` has all rows; those of `to` are slices.
            unsafe { transform::<L, V, N, I, O>(&points, &from, &to, &mut between) };
        }
    }
}
