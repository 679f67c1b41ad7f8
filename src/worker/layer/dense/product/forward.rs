//! `y = f(x · w + b)`. Each task computes some columns: it packs a block of the weights, multiplies
//! it by all rows of x, and goes on down these columns. Bias and activation follow the last block.

use super::super::super::Activation;
use super::super::super::scalar::Scalar;
use super::ahead::Ahead;
use super::pack::{Pack, Rows, Width};
use super::share::{Parted, Split, aligned, share};
use super::tile::{Multiply, Start};
use super::{Product, Sizes};
use std::ops::Range;

/// Rows of weights that are packed at a time. Such a block, the next one, which is fetched meanwhile,
/// and the part of x that it meets fit into a second-level cache of a megabyte.
const DEPTH: usize = 256;

/// Most columns of a block, so that rows of weights are read in long pieces.
const COLUMNS: usize = 256;

/// What a layer is applied to, and its parameters.
#[derive(Clone, Copy)]
pub struct Affine<'a, T> {
    /// `(batch, inputs)`
    pub x: &'a [T],
    /// `(inputs, outputs)`
    pub weights: &'a [T],
    /// `(outputs,)`
    pub biases: &'a [T],
    pub activation: Activation,
}

impl Product {
    /// Overwrites `y`, `(batch, outputs)`. Panics where a slice has another length.
    pub fn forward<T: Scalar>(self, layer: Affine<T>, y: &mut [T], room: &mut Vec<T>) {
        let Sizes {
            batch,
            inputs,
            outputs,
        } = self.sizes;
        assert_eq!(layer.x.len(), batch * inputs, "inputs");
        assert_eq!(layer.weights.len(), inputs * outputs, "weights");
        assert_eq!(layer.biases.len(), outputs, "biases");
        assert_eq!(y.len(), batch * outputs, "outputs");
        let (width, threads) = (Width::of::<T>(self.level), self.threads());
        let columns = Split::new(outputs, width.lanes, COLUMNS / width.lanes, threads);
        let piece = columns.longest() * (DEPTH.min(inputs) + batch);
        let room = aligned(room, piece * threads.min(columns.parts));
        let y = Parted::new(y);
        share(columns.parts, room, piece, |index, room| {
            let task = Task {
                product: self,
                layer,
                columns: columns.part(index),
                next: columns.part((index + threads).min(columns.parts - 1)),
                width,
            };
            task.run(room, &y);
        });
    }
}

/// Some columns of y.
struct Task<'a, T> {
    product: Product,
    layer: Affine<'a, T>,
    columns: Range<usize>,
    /// What this thread computes next, if all threads are as fast.
    next: Range<usize>,
    width: Width,
}

impl<T: Scalar> Task<'_, T> {
    fn run(&self, room: &mut [T], y: &Parted<T>) {
        let inputs = self.product.sizes.inputs;
        let packed = self.width.padded(self.columns.len()) * DEPTH.min(inputs);
        let (packed, sums) = room.split_at_mut(packed);
        for first in (0..inputs).step_by(DEPTH) {
            let end = inputs.min(first + DEPTH);
            let next = if end < inputs {
                self.weights(end..inputs.min(end + DEPTH), &self.columns)
            } else {
                self.weights(0..inputs.min(DEPTH), &self.next)
            };
            self.add_block(first..end, packed, sums, next);
        }
        self.finish(sums, y);
    }

    /// Adds what some inputs contribute. Sums lie panel by panel.
    fn add_block(&self, block: Range<usize>, packed: &mut [T], sums: &mut [T], next: Rows<T>) {
        let Product { sizes, level } = self.product;
        level.run(Pack {
            from: self.weights(block.clone(), &self.columns),
            to: packed,
        });
        let mut ahead = Ahead::of(next);
        for panel in self.width.panels(self.columns.len()) {
            level.run(Multiply {
                left: Rows {
                    numbers: &self.layer.x[block.start..],
                    stride: sizes.inputs,
                    rows: sizes.batch,
                    columns: block.len(),
                },
                panel: &packed[panel.start * block.len()..],
                to: &mut sums[panel.start * sizes.batch..],
                stride: self.width.padded(panel.len()),
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

    fn weights(&self, block: Range<usize>, columns: &Range<usize>) -> Rows<'_, T> {
        let stride = self.product.sizes.outputs;
        Rows {
            numbers: &self.layer.weights[block.start * stride + columns.start..],
            stride,
            rows: block.len(),
            columns: columns.len(),
        }
    }

    fn finish(&self, sums: &[T], y: &Parted<T>) {
        let Sizes { batch, outputs, .. } = self.product.sizes;
        for panel in self.width.panels(self.columns.len()) {
            let first = self.columns.start + panel.start;
            let biases = &self.layer.biases[first..first + panel.len()];
            let sums = &sums[panel.start * batch..];
            for (row, sums) in sums
                .chunks(self.width.padded(panel.len()))
                .take(batch)
                .enumerate()
            {
                let at = row * outputs + first;
                // SAFETY: these columns are this task's alone.
                let y = unsafe { y.part(at..at + panel.len()) };
                y.copy_from_slice(&sums[..panel.len()]);
                let level = self.product.level;
                self.layer.activation.add_biases(level, y, biases);
            }
        }
    }
}
