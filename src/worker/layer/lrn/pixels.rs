//! Local response normalisation of pixels and its gradient, at the width of the processor.
//!
//! In and out: slices of whole pixels, on the calling thread. The formulas stand at
//! [`Lrn`]; `s^−¾ = r² / √r` with `r = 1 / √s`, so that there is neither a division nor a power.

use super::super::scalar::Scalar;
use super::super::simd::{Kernel, Level, Vector, for_registers};
use super::Lrn;
use super::window_sums::WindowSums;

/// A normalisation of pixels with a number of channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pixels {
    pub lrn: Lrn,
    pub channels: usize,
}

impl Pixels {
    /// Overwrites `y` with the normalised pixels `x`.
    pub fn normalise<T: Scalar>(self, level: Level, x: &[T], y: &mut [T]) {
        assert_eq!((x.len() % self.channels, y.len()), (0, x.len()));
        level.run(Normalise { pixels: self, x, y });
    }

    /// Overwrites `dx` with the gradient by the pixels `x`, from the gradient `dy` by the result.
    pub fn gradient<T: Scalar>(self, level: Level, x: &[T], dy: &[T], dx: &mut [T]) {
        assert_eq!((x.len() % self.channels, dy.len()), (0, x.len()));
        assert_eq!(dx.len(), x.len());
        level.run(Gradient {
            pixels: self,
            x,
            dy,
            dx,
        });
    }
}

/// Pixels that go through the steps together. Few enough for their terms to stay in the nearest cache.
const GROUP: usize = 16;

/// α and the bias in all lanes.
#[inline(always)]
fn constants<T: Scalar, V: Vector<Element = T>>(lrn: Lrn) -> (V, V) {
    (
        V::splat(T::from_f64(lrn.alpha)),
        V::splat(T::from_f64(lrn.bias)),
    )
}

/// `1 / s` and `s^−¾`.
#[inline(always)]
fn inverses<V: Vector>(s: V) -> (V, V) {
    let root = s.reciprocal_root();
    let inverse = root.mul(root);
    (inverse, inverse.mul(root.reciprocal_root()))
}

struct Normalise<'a, T> {
    pixels: Pixels,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Normalise<'_, T> {
    type Output = ();

    /// With the usual radius as a constant, so that loops over it are no loops.
    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        match self.pixels.lrn.radius {
            4 => self.with_radius::<V>(4),
            radius => self.with_radius::<V>(radius),
        }
    }
}

impl<T: Scalar> Normalise<'_, T> {
    #[inline(always)]
    fn with_radius<V: Vector<Element = T>>(self, radius: usize) {
        let channels = self.pixels.channels;
        let (alpha, bias) = constants::<T, V>(self.pixels.lrn);
        let mut sums = WindowSums::new::<V>(GROUP, channels, radius);
        for start in (0..self.x.len()).step_by(GROUP * channels) {
            let group = GROUP.min((self.x.len() - start) / channels);
            // SAFETY: both slices have the pixels of the group from `start` on.
            unsafe {
                let x = self.x.as_ptr().add(start);
                let y = self.y.as_mut_ptr().add(start);
                square::<T, V>(&mut sums, x, group, channels);
                for pixel in 0..group {
                    let (x, y) = (x.add(pixel * channels), y.add(pixel * channels));
                    for_registers!(V, channels, |c, count| {
                        let (_, factor) = inverses(sums.sum::<V>(pixel, c).mul_add(alpha, bias));
                        V::load_first(x.add(c), count)
                            .mul(factor)
                            .store_first(y.add(c), count);
                    });
                }
            }
        }
    }
}

/// Sets the terms of the pixels at `x` to their squares.
///
/// # Safety
/// `group` pixels, at most `GROUP`, with as many channels as the terms, can be read.
#[inline(always)]
unsafe fn square<T: Scalar, V: Vector<Element = T>>(
    sums: &mut WindowSums<T>,
    x: *const T,
    group: usize,
    channels: usize,
) {
    for pixel in 0..group {
        let terms = sums.terms(pixel);
        for_registers!(V, channels, |c, count| {
            // SAFETY: the caller's promise.
            unsafe {
                let x = V::load_first(x.add(pixel * channels + c), count);
                x.mul(x).store(terms.add(c));
            }
        });
    }
    sums.prepare::<V>();
}

struct Gradient<'a, T> {
    pixels: Pixels,
    x: &'a [T],
    dy: &'a [T],
    dx: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Gradient<'_, T> {
    type Output = ();

    /// With the usual radius as a constant, so that loops over it are no loops.
    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        match self.pixels.lrn.radius {
            4 => self.with_radius::<V>(4),
            radius => self.with_radius::<V>(radius),
        }
    }
}

impl<T: Scalar> Gradient<'_, T> {
    /// `dx[c] = dy[c] · s[c]^−¾ − 1.5 α x[c] · Σ dy[d] x[d] s[d]^−7/4` over the window of `c`.
    #[inline(always)]
    fn with_radius<V: Vector<Element = T>>(self, radius: usize) {
        let channels = self.pixels.channels;
        let (alpha, bias) = constants::<T, V>(self.pixels.lrn);
        let factor = V::splat(T::from_f64(-1.5 * self.pixels.lrn.alpha));
        let mut squares = WindowSums::new::<V>(GROUP, channels, radius);
        let mut products = WindowSums::new::<V>(GROUP, channels, radius);
        for start in (0..self.x.len()).step_by(GROUP * channels) {
            let group = GROUP.min((self.x.len() - start) / channels);
            // SAFETY: all slices have the pixels of the group from `start` on.
            unsafe {
                let x = self.x.as_ptr().add(start);
                let dy = self.dy.as_ptr().add(start);
                let dx = self.dx.as_mut_ptr().add(start);
                square::<T, V>(&mut squares, x, group, channels);
                for pixel in 0..group {
                    let at = pixel * channels;
                    let (x, dy, dx) = (x.add(at), dy.add(at), dx.add(at));
                    let terms = products.terms(pixel);
                    for_registers!(V, channels, |c, count| {
                        let s = squares.sum::<V>(pixel, c).mul_add(alpha, bias);
                        let (inverse, power) = inverses(s);
                        let scaled = V::load_first(dy.add(c), count).mul(power);
                        let x = V::load_first(x.add(c), count);
                        scaled.mul(x).mul(inverse).store(terms.add(c));
                        scaled.store_first(dx.add(c), count);
                    });
                }
                products.prepare::<V>();
                for pixel in 0..group {
                    let at = pixel * channels;
                    let (x, dx) = (x.add(at), dx.add(at));
                    for_registers!(V, channels, |c, count| {
                        let x = V::load_first(x.add(c), count).mul(factor);
                        let scaled = V::load_first(dx.add(c), count);
                        let sum = products.sum::<V>(pixel, c);
                        x.mul_add(sum, scaled).store_first(dx.add(c), count);
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
