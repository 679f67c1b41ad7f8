//! The gradient of the weights: tiles of neighbouring numbers of a patch by registers of filters.
//!
//! In: images and the gradients of their results. Out: sums `(k, k, channels, filters)`, to which
//! products are added. Knows nothing of the weights.
//!
//! The numbers of a patch in one line of the image lie side by side, `[kx][channel]`, so a tile may
//! go over several columns of the kernel. Its sums stay in registers over some lines of the output;
//! the gradients of these lines stay in the first-level cache while all tiles take their turn.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector, with_columns};
use super::super::geometry::Geometry;
use super::panels::{is_panel, last_of, lay_out, make_room, panels};
use super::runs::{Path, Run, inside, parts};
use super::tile::{Factor, Products, ROWS, Tile};
use std::ops::Range;

/// Numbers of a panel of gradients that stay in a core's first-level cache beside the images.
const BLOCK_NUMBERS: usize = 12 << 10;

/// What some images add to the gradient of the weights.
pub struct Correlate<'a, T> {
    pub geometry: Geometry,
    pub filters: usize,
    pub images: &'a [T],
    pub gradients: &'a [T],
    pub sums: &'a mut [T],
    pub room: &'a mut Vec<T>,
}

/// Numbers of a patch in one line that are computed at once.
struct Stretch {
    numbers: Range<usize>,
    /// Its ways over a line of the image, in steps of one pixel of the output.
    runs: Vec<Run>,
}

/// An image, and a panel of the gradients of some lines of its result.
struct Block<'a, T> {
    geometry: Geometry,
    image: &'a [T],
    lines: Range<usize>,
    panel: &'a [T],
}

impl<T: Scalar> Kernel<T> for Correlate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(mut self) {
        let g = self.geometry;
        let images = self.images.len() / g.image();
        assert_eq!(self.images.len(), images * g.image());
        assert_eq!(self.gradients.len(), images * g.pixels() * self.filters);
        assert_eq!(self.sums.len(), g.patch() * self.filters);
        let stretches = stretches(g);
        for columns in panels::<V>(self.filters) {
            with_columns!(V, columns.len(), |C| self
                .panel::<V, C>(columns, &stretches));
        }
    }
}

impl<T: Scalar> Correlate<'_, T> {
    /// Adds what all images contribute for the filters of one panel.
    #[inline(always)]
    fn panel<V: Vector<Element = T>, const C: usize>(
        &mut self,
        columns: Range<usize>,
        stretches: &[Stretch],
    ) {
        let g = self.geometry;
        let row = g.out_width() * self.filters;
        let width = g.out_width() * C * V::LANES;
        let most = (BLOCK_NUMBERS / width).max(1);
        let gradients = self.gradients.chunks_exact(g.pixels() * self.filters);
        for (image, gradients) in self.images.chunks_exact(g.image()).zip(gradients) {
            for lines in parts(g.out_height(), most) {
                let gradients = &gradients[lines.start * row..lines.end * row];
                let columns = columns.start..columns.start + C;
                let panel = if is_panel::<V>(gradients, self.filters, C) {
                    gradients
                } else {
                    let panel = make_room(self.room, lines.len() * width);
                    lay_out::<V>(gradients, self.filters, columns.clone(), panel);
                    panel
                };
                let block = Block {
                    geometry: g,
                    image,
                    lines,
                    panel,
                };
                let sums = Sums {
                    sums: self.sums,
                    filters: self.filters,
                    columns,
                };
                add_block::<V, C>(block, stretches, sums);
            }
        }
    }
}

/// Where the sums of a panel go.
struct Sums<'a, T> {
    sums: &'a mut [T],
    filters: usize,
    columns: Range<usize>,
}

/// Adds what one block contributes.
#[inline(always)]
fn add_block<V: Vector, const C: usize>(
    block: Block<V::Element>,
    stretches: &[Stretch],
    out: Sums<V::Element>,
) {
    let g = block.geometry;
    let last = last_of::<V>(&out.columns, out.filters);
    for ky in 0..g.kernel {
        let lines = inside(ky, g.padding, g.height, g.out_height());
        let lines = lines.start.max(block.lines.start)..lines.end.min(block.lines.end);
        if lines.is_empty() {
            continue;
        }
        for stretch in stretches {
            // SAFETY: the stretches are of the geometry; the lines are in the block, and row `ky` of
            // the kernel takes them from inside of the image.
            let tile = unsafe { products::<V, C>(&block, ky, &lines, stretch) };
            let number = ky * g.kernel * g.channels + stretch.numbers.start;
            let to = &mut out.sums[number * out.filters + out.columns.start * V::LANES..];
            // SAFETY: the sums have all filters of all numbers of a patch; the last register ends
            // at the last filter.
            unsafe {
                tile.store::<true>(to.as_mut_ptr(), stretch.numbers.len(), out.filters, last)
            };
        }
    }
}

/// The sums of a stretch over some lines of the output.
///
/// # Safety
/// The lines are in the block, row `ky` of the kernel takes them from inside of the image, and the
/// stretch is of the geometry.
#[inline(always)]
unsafe fn products<V: Vector, const C: usize>(
    block: &Block<V::Element>,
    ky: usize,
    lines: &Range<usize>,
    stretch: &Stretch,
) -> Tile<V, C> {
    let g = block.geometry;
    let width = C * V::LANES;
    let line = (lines.start + ky - g.padding) * g.width * g.channels;
    // Asked before there are sums in registers, which a call would move to memory.
    let out_width = g.out_width();
    let pixel = (lines.start - block.lines.start) * out_width;
    let mut tile = Tile::<V, C>::zero();
    for run in &stretch.runs {
        let pixel = pixel + run.places.start;
        // SAFETY: lines and run are inside by the caller's promise: the last of the rows is on the
        // line at the last of the places.
        unsafe {
            let products = Products {
                lines: lines.len(),
                steps: run.places.len(),
                left: Factor {
                    from: block.image.as_ptr().add(line + run.start),
                    line: g.width * g.channels,
                    step: g.channels,
                },
                row: 1,
                right: Factor {
                    from: block.panel.as_ptr().add(pixel * width),
                    line: out_width * width,
                    step: width,
                },
            };
            tile.add(&run.rows, products);
        }
    }
    tile
}

/// Cuts the numbers of a patch in one line into stretches.
fn stretches(g: Geometry) -> Vec<Stretch> {
    let path = |numbers: &Range<usize>| Path {
        offset: numbers.start,
        padding: g.padding * g.channels,
        places: g.out_width(),
        stride: g.channels,
        rows: numbers.len(),
        line: g.width * g.channels,
    };
    parts(g.kernel * g.channels, ROWS)
        .map(|numbers| Stretch {
            runs: path(&numbers).runs(),
            numbers,
        })
        .collect()
}
