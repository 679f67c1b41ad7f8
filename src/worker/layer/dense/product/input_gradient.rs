//! `dx = dy · wᵀ`, computed as `dxᵀ = w · dyᵀ`: the weights are the left factor and are read where
//! they lie, once. Only dy and dx, which are smaller by far, are transposed.

use super::super::super::scalar::Scalar;
use super::super::super::simd::transpose::Transpose;
use super::ahead::Ahead;
use super::pack::{Rows, Width};
use super::share::{Parted, Split, aligned, share};
use super::tile::{Multiply, ROWS, Start};
use super::{Product, Sizes};
use std::ops::Range;

/// Outputs that are summed at a time: their rows of a panel stay in the second-level cache.
const DEPTH: usize = 512;

/// Tiles, one above the other, of a task.
const TILES: usize = 16;

impl Product {
    /// Overwrites `dx`, `(batch, inputs)`, from `dy`, `(batch, outputs)`, and `weights`, `(inputs,
    /// outputs)`. Panics where a slice has another length.
    pub fn input_gradient<T: Scalar>(
        self,
        dy: &[T],
        weights: &[T],
        dx: &mut [T],
        room: &mut Vec<T>,
    ) {
        let Sizes {
            batch,
            inputs,
            outputs,
        } = self.sizes;
        assert_eq!(dy.len(), batch * outputs, "gradients");
        assert_eq!(weights.len(), inputs * outputs, "weights");
        assert_eq!(dx.len(), batch * inputs, "inputs");
        let (width, threads) = (Width::of::<T>(self.level), self.threads());
        let rows = Split::new(inputs, ROWS, TILES, threads);
        let batch = width.padded(batch);
        let packed = batch * outputs;
        let piece = (batch + width.panel) * rows.longest();
        let room = aligned(room, packed + piece * threads.min(rows.parts));
        let (packed, room) = room.split_at_mut(packed);
        self.pack_transposed(dy, packed, width);
        let dx = Parted::new(dx);
        share(rows.parts, room, piece, |index, room| {
            let task = Task {
                product: self,
                weights,
                packed,
                rows: rows.part(index),
                next: rows.part((index + threads).min(rows.parts - 1)),
                width,
            };
            let (sums, lines) = room.split_at_mut(batch * rows.longest());
            task.run(sums, lines, &dx);
        });
    }

    /// Packs dyᵀ.
    fn pack_transposed<T: Scalar>(self, dy: &[T], packed: &mut [T], width: Width) {
        let Sizes { batch, outputs, .. } = self.sizes;
        let blocks = Split::new(outputs, 16, 16, self.threads());
        if !batch.is_multiple_of(width.lanes) {
            packed.fill(T::zero());
        }
        let packed = Parted::new(packed);
        share(
            blocks.parts,
            &mut vec![(); self.threads()],
            1,
            |index, _| {
                let columns = blocks.part(index);
                for panel in width.panels(batch) {
                    let stride = width.padded(panel.len());
                    let at = panel.start * outputs + columns.start * stride;
                    // SAFETY: these rows of the panel are this task's alone.
                    let to = unsafe { packed.part(at..at + columns.len() * stride) };
                    self.level.run(Transpose {
                        from: &dy[panel.start * outputs + columns.start..],
                        from_stride: outputs,
                        rows: panel.len(),
                        columns: columns.len(),
                        to,
                        to_stride: stride,
                    });
                }
            },
        );
    }
}

/// The gradients of some inputs.
struct Task<'a, T> {
    product: Product,
    weights: &'a [T],
    packed: &'a [T],
    rows: Range<usize>,
    /// What this thread computes next, if all threads are as fast.
    next: Range<usize>,
    width: Width,
}

impl<T: Scalar> Task<'_, T> {
    fn run(&self, sums: &mut [T], lines: &mut [T], dx: &Parted<T>) {
        let outputs = self.product.sizes.outputs;
        for first in (0..outputs).step_by(DEPTH) {
            let end = outputs.min(first + DEPTH);
            let next = if end < outputs {
                self.weights(&self.rows, end..outputs.min(end + DEPTH))
            } else {
                self.weights(&self.next, 0..outputs.min(DEPTH))
            };
            self.add_block(first..end, sums, next);
        }
        self.finish(sums, lines, dx);
    }

    /// Adds what some outputs contribute. Sums lie panel by panel.
    fn add_block(&self, block: Range<usize>, sums: &mut [T], next: Rows<T>) {
        let mut ahead = Ahead::of(next);
        let Product { sizes, level } = self.product;
        for panel in self.width.panels(sizes.batch) {
            let stride = self.width.padded(panel.len());
            level.run(Multiply {
                left: self.weights(&self.rows, block.clone()),
                panel: &self.packed[panel.start * sizes.outputs + block.start * stride..],
                to: &mut sums[panel.start * self.rows.len()..],
                stride,
                columns: panel.len(),
                start: if block.start == 0 {
                    Start::Zero
                } else {
                    Start::Sums
                },
                streamed: false,
                ahead: &mut ahead,
            });
        }
    }

    fn weights(&self, rows: &Range<usize>, block: Range<usize>) -> Rows<'_, T> {
        let stride = self.product.sizes.outputs;
        Rows {
            numbers: &self.weights[rows.start * stride + block.start..],
            stride,
            rows: rows.len(),
            columns: block.len(),
        }
    }

    /// Sums become rows of dx, by way of `lines`, which one panel fits into.
    fn finish(&self, sums: &[T], lines: &mut [T], dx: &Parted<T>) {
        let Product { sizes, level } = self.product;
        let rows = self.rows.len();
        for panel in self.width.panels(sizes.batch) {
            level.run(Transpose {
                from: &sums[panel.start * rows..],
                from_stride: self.width.padded(panel.len()),
                rows,
                columns: panel.len(),
                to: lines,
                to_stride: rows,
            });
            for (example, line) in panel.zip(lines.chunks(rows)) {
                let at = example * sizes.inputs + self.rows.start;
                // SAFETY: these columns are this task's alone.
                let dx = unsafe { dx.part(at..at + rows) };
                dx.copy_from_slice(line);
            }
        }
    }
}
