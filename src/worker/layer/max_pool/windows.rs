//! Maxima over 3×3 windows with stride 2, and their gradient, at the width of the processor.
//!
//! In: images `(height, width, channels)`, one after the other; out: their maxima and where in its
//! window, row by row, each was found. The padding is TensorFlow's SAME: halved, with the odd row or
//! column behind, so that windows begin at an even row of an even size and one before that of an odd
//! one. The first of equal numbers is the maximum. Runs on the calling thread; knows no tensors.

use super::super::scalar::Scalar;
use super::super::simd::{Kernel, Level, Vector, for_registers};

const WINDOW: usize = 3;
const STRIDE: usize = 2;

/// The place of a maximum that lets no gradient pass, as behind a rectifier that stopped it.
pub const NOWHERE: u8 = u8::MAX;

/// The windows of images of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Windows {
    pub fn out_height(self) -> usize {
        self.height.div_ceil(STRIDE)
    }

    pub fn out_width(self) -> usize {
        self.width.div_ceil(STRIDE)
    }

    /// Numbers of one image.
    pub fn image(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Maxima of one image.
    pub fn result(self) -> usize {
        self.out_height() * self.out_width() * self.channels
    }

    /// Overwrites `y` with the maxima of the images `x`, and `places` with where each was found.
    pub fn pool<T: Scalar>(self, level: Level, x: &[T], y: &mut [T], places: &mut [u8]) {
        self.check(x.len(), y.len(), places.len());
        level.run(Pool {
            windows: self,
            x,
            y,
            places,
        });
    }

    /// Overwrites the images `dx` with the gradients `dy` of their maxima, each added where its
    /// maximum was found.
    pub fn spread<T: Scalar>(self, level: Level, dy: &[T], places: &[u8], dx: &mut [T]) {
        self.check(dx.len(), dy.len(), places.len());
        level.run(Spread {
            windows: self,
            dy,
            places,
            dx,
        });
    }

    /// That all are numbers of as many whole images.
    fn check(self, images: usize, results: usize, places: usize) {
        let count = images / self.image();
        assert_eq!(images, count * self.image());
        assert_eq!(results, count * self.result());
        assert_eq!(places, results);
    }

    /// Rows and columns that the first window begins before the image.
    fn padding(self) -> (usize, usize) {
        (self.height % STRIDE, self.width % STRIDE)
    }

    /// Where in an image pixel `(u, v)` of the window of output pixel `(i, j)` starts.
    #[inline(always)]
    fn pixel(self, i: usize, j: usize, u: usize, v: usize) -> Option<usize> {
        let (top, left) = self.padding();
        // What lies before the image wraps to far behind it.
        let row = (STRIDE * i + u).wrapping_sub(top);
        let column = (STRIDE * j + v).wrapping_sub(left);
        let is_inside = row < self.height && column < self.width;
        is_inside.then(|| (row * self.width + column) * self.channels)
    }

    /// The window of output pixel `(i, j)`.
    #[inline(always)]
    fn window(self, i: usize, j: usize) -> Window {
        let (top, left) = self.padding();
        let (skipped, cut) = (
            top.saturating_sub(STRIDE * i),
            left.saturating_sub(STRIDE * j),
        );
        let first = self
            .pixel(i, j, skipped, cut)
            .expect("a window has a pixel of the image");
        let mut starts = [first; WINDOW * WINDOW];
        for (place, start) in starts.iter_mut().enumerate() {
            *start = self
                .pixel(i, j, place / WINDOW, place % WINDOW)
                .unwrap_or(first);
        }
        Window {
            first: (skipped * WINDOW + cut) as u8,
            starts,
        }
    }
}

/// Where in an image the pixels of one window start.
struct Window {
    /// The place of the first pixel within the image.
    first: u8,
    /// By place; the first pixel again for places outside of the image, which changes no maximum.
    starts: [usize; WINDOW * WINDOW],
}

struct Pool<'a, T> {
    windows: Windows,
    x: &'a [T],
    y: &'a mut [T],
    places: &'a mut [u8],
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
                    let window = w.window(i, j);
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

struct Spread<'a, T> {
    windows: Windows,
    dy: &'a [T],
    places: &'a [u8],
    dx: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Spread<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        let w = self.windows;
        let results = self.dy.chunks_exact(w.result());
        let images = self.dx.chunks_exact_mut(w.image());
        let images = images.zip(results.zip(self.places.chunks_exact(w.result())));
        for (dx, (dy, places)) in images {
            for i in 0..w.out_height() {
                for j in 0..w.out_width() {
                    // SAFETY: these are one image, its results and their places.
                    unsafe {
                        let from = (dy.as_ptr(), places.as_ptr());
                        let block = Block::new(w, (i, j), from, dx.as_mut_ptr());
                        for_registers!(V, w.channels, |c, count| { block.gather::<V>(c, count) });
                    }
                }
            }
        }
    }
}

/// A register of gradients and the places that they go to.
type Gradients<V> = (V, V);

/// The first 2×2 pixels of a window, and the windows that they lie in: it and its neighbours above
/// and to the left, whose last row and column these are. The blocks of all windows are the image.
struct Block<T> {
    /// By row and column: above or here, left or here.
    windows: [[Option<(*const T, *const u8)>; 2]; 2],
    pixels: [[Option<*mut T>; 2]; 2],
}

impl<T: Scalar> Block<T> {
    /// Of the window of output pixel `(i, j)`.
    ///
    /// # Safety
    /// An image can be written at `dx`, and its results and places be read at `from`.
    #[inline(always)]
    unsafe fn new(
        w: Windows,
        (i, j): (usize, usize),
        from: (*const T, *const u8),
        dx: *mut T,
    ) -> Self {
        let window = |up: usize, back: usize| {
            (up <= i && back <= j).then(|| {
                let at = ((i - up) * w.out_width() + j - back) * w.channels;
                // SAFETY: output pixels `(0, 0)` to `(i, j)` are there.
                unsafe { (from.0.add(at), from.1.add(at)) }
            })
        };
        let pixel = |u: usize, v: usize| {
            // SAFETY: the pixel lies within the image.
            w.pixel(i, j, u, v).map(|at| unsafe { dx.add(at) })
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
        let [[a, b], [d, e]] = self.windows;
        // SAFETY: pointers of a block are pixels of images, with as many channels.
        unsafe {
            let a = load::<V>(a, c, count);
            let b = load::<V>(b, c, count);
            let d = load::<V>(d, c, count);
            let e = load::<V>(e, c, count);
            let zero = V::splat(T::zero());
            let [first, second] = self.pixels;
            put(
                first[0],
                add(add(add(add(zero, a, 8), b, 6), d, 2), e, 0),
                c,
                count,
            );
            put(first[1], add(add(zero, b, 7), e, 1), c, count);
            put(second[0], add(add(zero, d, 5), e, 3), c, count);
            put(second[1], add(zero, e, 4), c, count);
        }
    }
}

/// Overwrites `count` channels from `c` on of a pixel that is there.
///
/// # Safety
/// The pixel has them.
#[inline(always)]
unsafe fn put<V: Vector>(pixel: Option<*mut V::Element>, sum: V, c: usize, count: usize) {
    if let Some(pixel) = pixel {
        // SAFETY: the caller's promise.
        unsafe { sum.store_first(pixel.add(c), count) };
    }
}

/// `sum`, plus the gradients that go to `place`.
#[inline(always)]
fn add<V: Vector>(sum: V, (dy, places): Gradients<V>, place: u8) -> V {
    let place = V::splat(V::Element::from_byte(place));
    sum.add(dy).select(places.equal(place), sum)
}

/// Gradients of a window, or ones that go nowhere.
///
/// # Safety
/// From `c` on, `count` channels can be read.
#[inline(always)]
unsafe fn load<V: Vector>(
    window: Option<(*const V::Element, *const u8)>,
    c: usize,
    count: usize,
) -> Gradients<V> {
    match window {
        // SAFETY: the caller's promise.
        Some((dy, places)) => unsafe {
            (
                V::load_first(dy.add(c), count),
                V::load_first_bytes(places.add(c), count),
            )
        },
        None => (
            V::splat(V::Element::from_byte(0)),
            V::splat(V::Element::from_byte(NOWHERE)),
        ),
    }
}

#[cfg(test)]
mod tests;
