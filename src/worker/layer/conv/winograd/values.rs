//! Values of some tiles at all points: `(points, tiles, width)`.

use super::super::super::scalar::Scalar;
use super::super::super::simd::Vector;
use super::points::Points;
use super::tiling::{Plane, Square};
use super::transform::{Map, middle, transform};
use super::{LINE, TILES};
use std::ops::Range;

/// Room for the values of [`TILES`] tiles.
pub struct Values<'a, T> {
    numbers: &'a mut [T],
    /// What stands for the pixels of a tile that the image does not have.
    outside: &'a mut [T],
    /// Numbers of a tile at one point: those of a pixel and zeros up to a multiple of [`LINE`].
    pub width: usize,
    /// From one point to the next. An odd number of lines, so that the points of a tile do not fall
    /// into the same few sets of the cache, whatever the number of channels.
    stride: usize,
}

impl<'a, T: Scalar> Values<'a, T> {
    /// Values of two planes at `points` points each, in `room`, which grows at need.
    pub fn pair(room: &'a mut Vec<T>, points: usize, planes: [Plane; 2]) -> [Self; 2] {
        let sizes = planes.map(|plane| {
            let width = plane.channels.next_multiple_of(LINE);
            (width, ((TILES * width / LINE) | 1) * LINE)
        });
        let all: usize = sizes
            .iter()
            .map(|(width, stride)| points * stride + width)
            .sum();
        if room.len() < all + LINE {
            room.resize(all + LINE, T::zero());
        }
        // Registers that straddle two lines made convolution and weight gradient 8 to 20 % slower.
        let first = room.as_ptr().align_offset(64).min(LINE);
        let mut rest = &mut room[first..];
        sizes.map(|(width, stride)| {
            let (numbers, behind) = std::mem::take(&mut rest).split_at_mut(points * stride);
            let (outside, behind) = behind.split_at_mut(width);
            rest = behind;
            Self {
                numbers,
                outside,
                width,
                stride,
            }
        })
    }

    /// The values of all tiles at one point.
    #[inline(always)]
    pub fn at(&self, point: usize) -> &[T] {
        &self.numbers[point * self.stride..][..self.stride]
    }

    /// [`at`](Self::at), to be overwritten.
    #[inline(always)]
    pub fn at_mut(&mut self, point: usize) -> &mut [T] {
        &mut self.numbers[point * self.stride..][..self.stride]
    }

    /// Overwrites the values with those of some tiles of `images`, mapped by `L`.
    #[inline(always)]
    pub fn read<V: Vector<Element = T>, L: Map<N, S, N>, const N: usize, const S: usize>(
        &mut self,
        plane: Plane,
        images: &[T],
        tiles: Range<usize>,
    ) {
        self.check::<N>(plane, images, &tiles);
        self.outside.fill(T::zero());
        let (points, mut between) = (Points::<V, N>::new(), middle());
        for (at, tile) in tiles.enumerate() {
            let outside = self.outside.as_mut_ptr();
            let from = plane.square::<T, S>(images.as_ptr().cast_mut(), tile, outside);
            let to = self.square::<N>(at);
            // SAFETY: `check` has seen that both have the tiles; `from` is only read.
            unsafe { transform::<L, V, N, S, N>(&points, &from, &to, &mut between) };
        }
    }

    /// Overwrites some tiles of `images` with the values, mapped by `L`.
    #[inline(always)]
    pub fn write<V: Vector<Element = T>, L: Map<N, N, S>, const N: usize, const S: usize>(
        &mut self,
        plane: Plane,
        images: &mut [T],
        tiles: Range<usize>,
    ) {
        self.check::<N>(plane, images, &tiles);
        let (points, mut between) = (Points::<V, N>::new(), middle());
        for (at, tile) in tiles.enumerate() {
            let outside = self.outside.as_mut_ptr();
            let to = plane.square::<T, S>(images.as_mut_ptr(), tile, outside);
            let from = self.square::<N>(at);
            // SAFETY: as in `read`.
            unsafe { transform::<L, V, N, N, S>(&points, &from, &to, &mut between) };
        }
    }

    /// The place of a tile at all points.
    #[inline(always)]
    fn square<const N: usize>(&mut self, at: usize) -> Square<T, N> {
        let first = self.numbers[at * self.width..].as_mut_ptr();
        Square::spaced(first, self.stride, self.width)
    }

    fn check<const N: usize>(&self, plane: Plane, images: &[T], tiles: &Range<usize>) {
        assert!(tiles.len() * self.width <= self.stride);
        assert!(tiles.end <= plane.tiles_of(images));
        assert!(plane.channels <= self.width && N * N * self.stride <= self.numbers.len());
    }
}
