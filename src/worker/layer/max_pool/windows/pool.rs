//! Maxima of windows and their places.
//!
//! A window is searched in row-major order, one register of channels at a time, and the first of equal
//! numbers kept.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector, for_registers};
use super::{STRIDE, WINDOW, Windows};
use std::array::from_fn;

/// All maxima of some images.
pub struct Pool<'a, T> {
    pub windows: Windows,
    pub x: &'a [T],
    pub y: &'a mut [T],
    pub places: &'a mut [u8],
}

impl<T: Scalar> Kernel<T> for Pool<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        let w = self.windows;
        let (mut y, mut places) = (self.y.as_mut_ptr(), self.places.as_mut_ptr());
        for x in self.x.chunks_exact(w.image()) {
            for i in 0..w.out_height() {
                for j in 0..w.out_width() {
                    let window = Window::new(w, i, j);
                    for_registers!(V, w.channels, |c, count| {
                        // SAFETY: a window starts at pixels of the image; `check` found as many
                        // results and places as output pixels.
                        unsafe {
                            let to = (y.add(c), places.add(c));
                            pool_lanes::<V>(x.as_ptr().add(c), &window, count, to);
                        }
                    });
                    // SAFETY: the same; at the end these point behind the last.
                    unsafe { (y, places) = (y.add(w.channels), places.add(w.channels)) };
                }
            }
        }
    }
}

/// The maxima of one register of channels.
///
/// # Safety
/// `count` numbers can be read at each start in `x`, and as many written to both results.
#[inline(always)]
unsafe fn pool_lanes<V: Vector>(
    x: *const V::Element,
    window: &Window,
    count: usize,
    (y, places): (*mut V::Element, *mut u8),
) {
    // SAFETY: the caller's promise; lanes behind `count` hold zeros and places.
    unsafe {
        let mut best = V::load_first(x.add(window.starts[0]), count);
        let mut found = V::splat(V::Element::from_byte(window.first));
        for place in 1..WINDOW * WINDOW {
            let seen = V::load_first(x.add(window.starts[place]), count);
            let place = V::splat(V::Element::from_byte(place as u8));
            found = place.select(seen.greater(best), found);
            best = seen.max(best);
        }
        best.store_first(y, count);
        found.store_first_bytes(places, count);
    }
}

/// Where in an image the pixels of one window start.
struct Window {
    /// The place of the first pixel within the image.
    first: u8,
    /// By place; the first pixel again for places outside of the image, which changes no maximum.
    starts: [usize; WINDOW * WINDOW],
}

impl Window {
    /// Of output pixel `(i, j)`.
    #[inline(always)]
    fn new(w: Windows, i: usize, j: usize) -> Self {
        let (top, left) = w.padding();
        let (row, column) = (STRIDE * i, STRIDE * j);
        let is_whole = top <= row
            && left <= column
            && row + WINDOW <= w.height + top
            && column + WINDOW <= w.width + left;
        if is_whole {
            let from = ((row - top) * w.width + column - left) * w.channels;
            return Self {
                first: 0,
                starts: from_fn(|place| {
                    from + (place / WINDOW * w.width + place % WINDOW) * w.channels
                }),
            };
        }
        let (u, v) = (top.saturating_sub(row), left.saturating_sub(column));
        let first = w.pixel(i, j, u, v);
        let first = first.expect("a window has a pixel of the image");
        Self {
            first: (u * WINDOW + v) as u8,
            starts: from_fn(|place| {
                w.pixel(i, j, place / WINDOW, place % WINDOW)
                    .unwrap_or(first)
            }),
        }
    }
}
