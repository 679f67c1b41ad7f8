//! Values of some tiles at all points: `(N, N, tiles, width)`.

use super::super::super::scalar::Scalar;
use super::super::super::simd::Vector;
use super::LINE;
use super::points::Points;
use super::tiling::{Plane, Square};
use super::transform::{Map, transform};
use std::ops::Range;

/// Room for the values of some tiles with `N · N` points.
pub struct Values<'a, T, const N: usize> {
    numbers: &'a mut [T],
    /// What stands for the pixels of a tile that the image does not have.
    outside: &'a mut [T],
    /// Numbers of a tile at one point: those of a pixel and zeros up to a multiple of [`LINE`].
    pub width: usize,
    /// From one point to the next. An odd number of lines: the points of a tile, which are written
    /// one after the other, are in different sets of the cache.
    stride: usize,
}

impl<'a, T: Scalar, const N: usize> Values<'a, T, N> {
    /// Numbers of the room for `tiles` tiles with `channels` numbers a pixel.
    pub fn room(tiles: usize, channels: usize) -> usize {
        let width = channels.next_multiple_of(LINE);
        N * N * Self::stride(tiles, width) + width
    }

    fn stride(tiles: usize, width: usize) -> usize {
        (tiles * width / LINE | 1) * LINE
    }

    /// Takes the room for as many tiles.
    #[inline(always)]
    pub fn new(room: &'a mut [T], tiles: usize, channels: usize) -> Self {
        assert_eq!(room.len(), Self::room(tiles, channels));
        let width = channels.next_multiple_of(LINE);
        let stride = Self::stride(tiles, width);
        let (numbers, outside) = room.split_at_mut(N * N * stride);
        Self {
            numbers,
            outside,
            width,
            stride,
        }
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
    pub fn read<V: Vector<Element = T>, L: Map<N, S, N>, const S: usize>(
        &mut self,
        points: &Points<V, N>,
        plane: Plane,
        images: &[T],
        tiles: Range<usize>,
    ) {
        self.check(plane, images, &tiles);
        self.outside.fill(T::zero());
        for (at, tile) in tiles.enumerate() {
            let outside = self.outside.as_mut_ptr();
            let from = plane.square::<T, S>(images.as_ptr().cast_mut(), tile, outside);
            let to = self.square(at);
            // SAFETY: `check` has seen that both have the tiles; `from` is only read.
            unsafe { transform::<L, V, N, S, N>(points, &from, &to) };
        }
    }

    /// Overwrites some tiles of `images` with the values, mapped by `L`.
    #[inline(always)]
    pub fn write<V: Vector<Element = T>, L: Map<N, N, S>, const S: usize>(
        &mut self,
        points: &Points<V, N>,
        plane: Plane,
        images: &mut [T],
        tiles: Range<usize>,
    ) {
        self.check(plane, images, &tiles);
        for (at, tile) in tiles.enumerate() {
            let outside = self.outside.as_mut_ptr();
            let to = plane.square::<T, S>(images.as_mut_ptr(), tile, outside);
            let from = self.square(at);
            // SAFETY: as in `read`.
            unsafe { transform::<L, V, N, N, S>(points, &from, &to) };
        }
    }

    /// The place of a tile at all points.
    #[inline(always)]
    fn square(&mut self, at: usize) -> Square<T, N> {
        let first = self.numbers[at * self.width..].as_mut_ptr();
        Square::spaced(first, self.stride, self.width)
    }

    fn check(&self, plane: Plane, images: &[T], tiles: &Range<usize>) {
        assert!(tiles.len() * self.width <= self.stride);
        assert!(tiles.end <= images.len() / plane.numbers() * plane.tiles);
        assert!(plane.channels <= self.width);
    }
}

/// Parts of `room`, which grows at need, at the beginning of a line each.
pub fn parts_of<const P: usize, T: Scalar>(room: &mut Vec<T>, sizes: [usize; P]) -> [&mut [T]; P] {
    let sizes = sizes.map(|size| size.next_multiple_of(LINE));
    let needed = sizes.iter().sum::<usize>() + LINE;
    if room.len() < needed {
        room.resize(needed, T::zero());
    }
    let first = room.as_ptr().align_offset(64).min(LINE);
    let mut rest = &mut room[first..];
    sizes.map(|size| {
        let (part, behind) = std::mem::take(&mut rest).split_at_mut(size);
        rest = behind;
        part
    })
}
