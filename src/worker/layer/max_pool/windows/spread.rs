//! The gradient of maxima, gathered by input pixel.
//!
//! Windows overlap only at their last row and column, so that a pixel lies in at most four, and the
//! image is overwritten in one pass with no zeroing before it.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector, for_registers};
use super::{NOWHERE, Windows};

/// All gradients of some images.
pub struct Spread<'a, T> {
    pub windows: Windows,
    pub dy: &'a [T],
    pub places: &'a [u8],
    pub dx: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Spread<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        let w = self.windows;
        let stopped = vec![NOWHERE; w.channels];
        let results = self.dy.chunks_exact(w.result());
        let images = self.dx.chunks_exact_mut(w.image());
        let images = images.zip(results.zip(self.places.chunks_exact(w.result())));
        for (dx, (dy, places)) in images {
            for i in 0..w.out_height() {
                for j in 0..w.out_width() {
                    let image = Image {
                        dy: dy.as_ptr(),
                        places: places.as_ptr(),
                        stopped: stopped.as_ptr(),
                        dx: dx.as_mut_ptr(),
                    };
                    // SAFETY: the slices are one image and its results, the places one pixel.
                    unsafe {
                        let block = Block::new(w, (i, j), image);
                        for_registers!(V, w.channels, |c, count| { block.gather::<V>(c, count) });
                    }
                }
            }
        }
    }
}

/// Where an image and its results start, and places of one pixel that let nothing pass.
#[derive(Clone, Copy)]
struct Image<T> {
    dy: *const T,
    places: *const u8,
    stopped: *const u8,
    dx: *mut T,
}

/// The first 2×2 pixels of a window, and the windows that they lie in: it and its neighbours above
/// and to the left, whose last row and column these are. The blocks of all windows are the image.
struct Block<T> {
    /// Gradients and places. By row and column: above or here, left or here.
    windows: [[(*const T, *const u8); 2]; 2],
    pixels: [[*mut T; 2]; 2],
}

impl<T: Scalar> Block<T> {
    /// Of the window of output pixel `(i, j)`.
    ///
    /// # Safety
    /// The output pixel is one of the image.
    #[inline(always)]
    unsafe fn new(w: Windows, (i, j): (usize, usize), image: Image<T>) -> Self {
        let here = (i * w.out_width() + j) * w.channels;
        let window = |up: usize, back: usize| {
            let is_there = up <= i && back <= j;
            let at = here - usize::from(is_there) * (up * w.out_width() + back) * w.channels;
            // SAFETY: output pixels up to this one are there.
            let (dy, places) = unsafe { (image.dy.add(at), image.places.add(at)) };
            (dy, if is_there { places } else { image.stopped })
        };
        let last = w.pixel(i, j, 1, 1);
        let last = last.expect("padding is at most a row and a column before the image");
        // Instead of pixels before the image the last one, which is written last.
        let pixel = |u: usize, v: usize| {
            let at = w.pixel(i, j, u, v).unwrap_or(last);
            // SAFETY: the pixel lies within the image.
            unsafe { image.dx.add(at) }
        };
        Self {
            windows: [[window(1, 1), window(1, 0)], [window(0, 1), window(0, 0)]],
            pixels: [[pixel(0, 0), pixel(0, 1)], [pixel(1, 0), pixel(1, 1)]],
        }
    }

    /// Overwrites `count` channels from `c` on.
    ///
    /// # Safety
    /// The pixels have them.
    #[inline(always)]
    unsafe fn gather<V: Vector<Element = T>>(&self, c: usize, count: usize) {
        let [[above_left, above], [left, here]] = self.windows;
        let [[first, second], [third, fourth]] = self.pixels;
        let zero = V::splat(T::zero());
        // SAFETY: all pointers are to pixels with as many channels.
        unsafe {
            let above_left = load::<V>(above_left, c, count);
            let above = load::<V>(above, c, count);
            let left = load::<V>(left, c, count);
            let here = load::<V>(here, c, count);
            let sum = add(add(zero, above_left, 8), above, 6);
            let sum = add(add(sum, left, 2), here, 0);
            sum.store_first(first.add(c), count);
            add(add(zero, above, 7), here, 1).store_first(second.add(c), count);
            add(add(zero, left, 5), here, 3).store_first(third.add(c), count);
            add(zero, here, 4).store_first(fourth.add(c), count);
        }
    }
}

/// Gradients and the places that they go to.
///
/// # Safety
/// From `c` on, `count` channels of both can be read.
#[inline(always)]
unsafe fn load<V: Vector>(
    (dy, places): (*const V::Element, *const u8),
    c: usize,
    count: usize,
) -> (V, V) {
    // SAFETY: the caller's promise.
    unsafe {
        let dy = V::load_first(dy.add(c), count);
        (dy, V::load_first_bytes(places.add(c), count))
    }
}

/// `sum`, plus the gradients that go to `place`.
#[inline(always)]
fn add<V: Vector>(sum: V, (dy, places): (V, V), place: u8) -> V {
    let place = V::splat(V::Element::from_byte(place));
    sum.add(dy).select(places.equal(place), sum)
}
