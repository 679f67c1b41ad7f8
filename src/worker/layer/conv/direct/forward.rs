//! Results of a convolution: tiles of neighbouring pixels of one line by registers of filters.
//!
//! In: images and weights in panels. Out: results. Knows neither biases nor activations.
//!
//! The rows of a panel are `[ky][kx][channel]`, so columns of the kernel that the same pixels see are
//! one loop over neighbouring rows, and neighbouring numbers of the image.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector, with_columns};
use super::super::geometry::Geometry;
use super::panels::{last_of, panels, read};
use super::runs::{Path, Run, inside, parts};
use super::tile::{Factor, Products, ROWS, Tile};
use std::ops::Range;

/// One convolution of some images.
pub struct Forward<'a, T> {
    pub geometry: Geometry,
    pub filters: usize,
    pub images: &'a [T],
    pub prepared: &'a [T],
    pub out: &'a mut [T],
}

/// Pixels of a line that are computed at once.
struct Stretch {
    pixels: Range<usize>,
    /// Its ways over a line of the image, in steps of one column of the kernel.
    runs: Vec<Run>,
}

impl<T: Scalar> Kernel<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(mut self) {
        let g = self.geometry;
        let images = self.images.len() / g.image();
        let filled = self.filters.next_multiple_of(V::LANES);
        assert_eq!(self.images.len(), images * g.image());
        self.prepared = read(self.prepared);
        assert!(self.prepared.len() >= g.patch() * filled);
        assert_eq!(self.out.len(), images * g.pixels() * self.filters);
        let stretches = stretches(g);
        for columns in panels::<V>(self.filters) {
            with_columns!(V, columns.len(), |C| self
                .panel::<V, C>(columns, &stretches));
        }
    }
}

impl<T: Scalar> Forward<'_, T> {
    /// The results of all images for the filters of one panel.
    #[inline(always)]
    fn panel<V: Vector<Element = T>, const C: usize>(
        &mut self,
        columns: Range<usize>,
        stretches: &[Stretch],
    ) {
        let g = self.geometry;
        let first = columns.start * V::LANES;
        let last = last_of::<V>(&columns, self.filters);
        let panel = self.prepared[g.patch() * first..].as_ptr();
        let results = self.out.chunks_exact_mut(g.pixels() * self.filters);
        for (image, result) in self.images.chunks_exact(g.image()).zip(results) {
            for y in 0..g.out_height() {
                for stretch in stretches {
                    // Asked before there are sums in registers, which a call would move to memory.
                    let pixel = y * g.out_width() + stretch.pixels.start;
                    let to = result[pixel * self.filters + first..].as_mut_ptr();
                    // SAFETY: `image` is a whole image, and the panel has `C` registers for each
                    // number of a patch. `result` has all filters of all pixels; the last register
                    // ends at the last filter.
                    unsafe {
                        let tile = sums::<V, C>(g, image, panel, y, stretch);
                        tile.store::<false>(to, stretch.pixels.len(), self.filters, last);
                    }
                }
            }
        }
    }
}

/// Cuts a line of the output into stretches.
fn stretches(g: Geometry) -> Vec<Stretch> {
    let path = |pixels: &Range<usize>| Path {
        offset: pixels.start,
        padding: g.padding,
        places: g.kernel,
        stride: 1,
        rows: pixels.len(),
        line: g.width,
    };
    parts(g.out_width(), ROWS)
        .map(|pixels| Stretch {
            runs: path(&pixels).runs(),
            pixels,
        })
        .collect()
}

/// The sums of a stretch of line `y` of the output.
///
/// # Safety
/// `image` has the numbers of `g`, the stretch is of `g`, and `panel` has `C` registers for each
/// number of a patch.
#[inline(always)]
unsafe fn sums<V: Vector, const C: usize>(
    g: Geometry,
    image: &[V::Element],
    panel: *const V::Element,
    y: usize,
    stretch: &Stretch,
) -> Tile<V, C> {
    let width = C * V::LANES;
    let taps = inside(y, g.padding, g.height, g.kernel);
    let line = (y + taps.start - g.padding) * g.width;
    let mut tile = Tile::<V, C>::zero();
    for run in &stretch.runs {
        let tap = taps.start * g.kernel + run.places.start;
        // SAFETY: lines, run and panel are inside by the caller's promise: the last of the rows is
        // on the line at the last of the places.
        unsafe {
            let products = Products {
                lines: taps.len(),
                steps: run.places.len() * g.channels,
                left: Factor {
                    from: image.as_ptr().add((line + run.start) * g.channels),
                    line: g.width * g.channels,
                    step: 1,
                },
                row: g.channels,
                right: Factor {
                    from: panel.add(tap * g.channels * width),
                    line: g.kernel * g.channels * width,
                    step: width,
                },
            };
            tile.add(&run.rows, products);
        }
    }
    tile
}
