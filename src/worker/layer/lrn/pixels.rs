//! Local response normalisation of pixels and its gradient, at the width of the processor.
//!
//! In and out: slices of whole pixels, on the calling thread. The formulas stand at
//! [`Lrn`]; `s^−¾ = r² / √r` with `r = 1 / √s`, so that there is neither a division nor a power.

use super::super::scalar::Scalar;
use super::super::simd::{Kernel, Level, Vector, for_registers};
use super::Lrn;

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

/// Pixels whose terms are computed before the first window of them is summed: a load that spans two
/// stores waits until both have left the store buffer.
const GROUP: usize = 8;

/// Terms of window sums of a few pixels.
struct Terms<T> {
    /// For each pixel a row of terms, with zeros on both ends.
    numbers: Vec<T>,
    stride: usize,
    radius: usize,
}

impl<T: Scalar> Terms<T> {
    /// Room for pixels in whole registers of `lanes` numbers.
    #[inline(always)]
    fn new(pixels: Pixels, lanes: usize) -> Self {
        let radius = pixels.lrn.radius;
        let stride = pixels.channels.next_multiple_of(lanes) + 2 * radius;
        Self {
            numbers: vec![T::zero(); GROUP * stride],
            stride,
            radius,
        }
    }

    /// Sets the terms of a register of channels from `c` on. Lanes behind the last channel are zero.
    ///
    /// # Safety
    /// `pixel` is in the group and `c` the start of a register of channels.
    #[inline(always)]
    unsafe fn set<V: Vector<Element = T>>(&mut self, pixel: usize, c: usize, terms: V) {
        // SAFETY: a row has room for whole registers behind the first zeros.
        unsafe {
            let row = self.numbers.as_mut_ptr().add(pixel * self.stride);
            terms.store(row.add(self.radius + c));
        }
    }

    /// Sums of the windows around a register of channels from `c` on.
    ///
    /// # Safety
    /// As for [`set`](Self::set).
    #[inline(always)]
    unsafe fn sum<V: Vector<Element = T>>(&self, pixel: usize, c: usize) -> V {
        // SAFETY: behind the last register there are zeros for twice the radius.
        unsafe {
            let first = self.numbers.as_ptr().add(pixel * self.stride + c);
            match self.radius {
                4 => sum_of::<V>(first, 9),
                radius => sum_of::<V>(first, 2 * radius + 1),
            }
        }
    }
}

/// The sum of `count` registers, each a number behind the one before.
///
/// # Safety
/// They can be read.
#[inline(always)]
unsafe fn sum_of<V: Vector>(first: *const V::Element, count: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = V::load(first);
        for shift in 1..count {
            sum = sum.add(V::load(first.add(shift)));
        }
        sum
    }
}

/// `bias + α · sum`.
#[inline(always)]
fn scale<T: Scalar, V: Vector<Element = T>>(lrn: &Lrn, sum: V) -> V {
    let alpha = V::splat(T::from_f64(lrn.alpha));
    sum.mul_add(alpha, V::splat(T::from_f64(lrn.bias)))
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

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        let Pixels { lrn, channels } = self.pixels;
        let mut terms = Terms::new(self.pixels, V::LANES);
        for start in (0..self.x.len()).step_by(GROUP * channels) {
            let group = GROUP.min((self.x.len() - start) / channels);
            // SAFETY: both slices have the pixels of the group from `start` on.
            unsafe {
                let x = self.x.as_ptr().add(start);
                let y = self.y.as_mut_ptr().add(start);
                square::<V>(&mut terms, x, group, channels);
                for pixel in 0..group {
                    for_registers!(V, channels, |c, count| {
                        let at = pixel * channels + c;
                        let (_, factor) = inverses(scale::<T, V>(&lrn, terms.sum(pixel, c)));
                        let x = V::load_first(x.add(at), count);
                        x.mul(factor).store_first(y.add(at), count);
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
unsafe fn square<V: Vector>(
    terms: &mut Terms<V::Element>,
    x: *const V::Element,
    group: usize,
    channels: usize,
) {
    for pixel in 0..group {
        for_registers!(V, channels, |c, count| {
            // SAFETY: the caller's promise.
            unsafe {
                let x = V::load_first(x.add(pixel * channels + c), count);
                terms.set(pixel, c, x.mul(x));
            }
        });
    }
}

struct Gradient<'a, T> {
    pixels: Pixels,
    x: &'a [T],
    dy: &'a [T],
    dx: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Gradient<'_, T> {
    type Output = ();

    /// `dx[c] = dy[c] · s[c]^−¾ − 1.5 α x[c] · Σ dy[d] x[d] s[d]^−7/4` over the window of `c`.
    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        let Pixels { lrn, channels } = self.pixels;
        let mut squares = Terms::new(self.pixels, V::LANES);
        let mut products = Terms::new(self.pixels, V::LANES);
        let factor = V::splat(T::from_f64(-1.5 * lrn.alpha));
        for start in (0..self.x.len()).step_by(GROUP * channels) {
            let group = GROUP.min((self.x.len() - start) / channels);
            // SAFETY: all slices have the pixels of the group from `start` on.
            unsafe {
                let x = self.x.as_ptr().add(start);
                let dy = self.dy.as_ptr().add(start);
                let dx = self.dx.as_mut_ptr().add(start);
                square::<V>(&mut squares, x, group, channels);
                for pixel in 0..group {
                    for_registers!(V, channels, |c, count| {
                        let at = pixel * channels + c;
                        let (inverse, power) = inverses(scale::<T, V>(&lrn, squares.sum(pixel, c)));
                        let scaled = V::load_first(dy.add(at), count).mul(power);
                        let x = V::load_first(x.add(at), count);
                        products.set(pixel, c, scaled.mul(x).mul(inverse));
                        scaled.store_first(dx.add(at), count);
                    });
                }
                for pixel in 0..group {
                    for_registers!(V, channels, |c, count| {
                        let at = pixel * channels + c;
                        let x = V::load_first(x.add(at), count).mul(factor);
                        let scaled = V::load_first(dx.add(at), count);
                        let sum = products.sum::<V>(pixel, c);
                        x.mul_add(sum, scaled).store_first(dx.add(at), count);
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
