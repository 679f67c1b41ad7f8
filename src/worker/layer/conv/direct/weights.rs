//! The gradient of the weights: tiles of neighbouring numbers of a patch by registers of filters.
//!
//! In: images and the gradients of their results. Out: sums `(k, k, channels, filters)`, to which
//! products are added. Knows nothing of the weights.
//!
//! The numbers of a patch in one line of the image lie side by side, `[kx][channel]`, so a tile may
//! go over several columns of the kernel. Its sums stay in registers over a few lines of the output;
//! the gradients of these lines stay in the first-level cache while all tiles take their turn.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector};
use super::super::geometry::Geometry;
use super::forward::columns_of_panels;
use super::runs::{Path, Run, inside, parts};
use super::tile::{Products, ROWS, Tile};
use std::ops::Range;

/// Numbers of gradients that stay in a core's first-level cache.
const BLOCK_NUMBERS: usize = 6 << 10;

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

/// Lines of the gradients of one image, with filters in whole registers.
struct Lines<'a, T> {
    image: &'a [T],
    range: Range<usize>,
    gradients: &'a [T],
}

impl<T: Scalar> Kernel<T> for Correlate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(mut self) {
        let g = self.geometry;
        let images = self.images.len() / g.image();
        let line = g.out_width() * self.filters;
        assert_eq!(self.images.len(), images * g.image());
        assert_eq!(self.gradients.len(), images * g.out_height() * line);
        assert_eq!(self.sums.len(), g.patch() * self.filters);
        let stretches = stretches(g);
        let most = (BLOCK_NUMBERS / line).max(1);
        let gradients = self.gradients.chunks_exact(g.out_height() * line);
        for (image, gradients) in self.images.chunks_exact(g.image()).zip(gradients) {
            for range in parts(g.out_height(), most) {
                let gradients = &gradients[range.start * line..range.end * line];
                let room = std::mem::take(self.room);
                let room = fill::<V>(gradients, self.filters, room);
                let lines = Lines {
                    image,
                    range,
                    gradients: &room,
                };
                for columns in columns_of_panels::<V>(self.filters) {
                    match columns.len() {
                        1 => self.panel::<V, 1>(columns, &stretches, &lines),
                        2 if V::COLUMNS >= 2 => self.panel::<V, 2>(columns, &stretches, &lines),
                        3 if V::COLUMNS >= 3 => self.panel::<V, 3>(columns, &stretches, &lines),
                        4 if V::COLUMNS >= 4 => self.panel::<V, 4>(columns, &stretches, &lines),
                        _ => unreachable!("a panel has at most four registers"),
                    }
                }
                *self.room = room;
            }
        }
    }
}

impl<T: Scalar> Correlate<'_, T> {
    #[inline(always)]
    fn panel<V: Vector<Element = T>, const C: usize>(
        &mut self,
        columns: Range<usize>,
        stretches: &[Stretch],
        lines: &Lines<T>,
    ) {
        let g = self.geometry;
        let first = columns.start * V::LANES;
        let last = (self.filters - first - (C - 1) * V::LANES).min(V::LANES);
        let filled = self.filters.next_multiple_of(V::LANES);
        for ky in 0..g.kernel {
            let ys = inside(ky, g.padding, g.height, g.out_height());
            let ys = ys.start.max(lines.range.start)..ys.end.min(lines.range.end);
            for stretch in stretches {
                let mut tile = Tile::<V, C>::zero();
                for y in ys.clone() {
                    let line = (y + ky - g.padding) * g.width * g.channels;
                    let gradients = (y - lines.range.start) * g.out_width();
                    for run in &stretch.runs {
                        let pixel = gradients + run.places.start;
                        // SAFETY: TODO
                        unsafe {
                            let products = Products {
                                left: lines.image.as_ptr().add(line + run.start),
                                left_row: 1,
                                left_step: g.channels,
                                right: lines.gradients.as_ptr().add(pixel * filled + first),
                                right_step: filled,
                                steps: run.places.len(),
                            };
                            tile.add(&run.rows, products);
                        }
                    }
                }
                let number = ky * g.kernel * g.channels + stretch.numbers.start;
                let to = self.sums[number * self.filters + first..].as_mut_ptr();
                // SAFETY: TODO
                unsafe { tile.add_to(to, stretch.numbers.len(), self.filters, last) };
            }
        }
    }
}

/// Rows of `filters` numbers filled up with zeros to whole registers.
fn fill<V: Vector>(
    rows: &[V::Element],
    filters: usize,
    mut room: Vec<V::Element>,
) -> Vec<V::Element> {
    let filled = filters.next_multiple_of(V::LANES);
    room.clear();
    for row in rows.chunks_exact(filters) {
        room.extend_from_slice(row);
        room.resize(room.len() + filled - filters, V::Element::default());
    }
    room
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
