//! `y = f(x · w + b)`. Each task computes some columns: it packs one panel of the weights after the
//! other and multiplies it by all rows of x. Bias and activation follow the last one.

use super::super::super::Activation;
use super::super::super::scalar::Scalar;
use super::ahead::Ahead;
use super::pack::{Pack, Rows, Width};
use super::share::{Parted, Split, aligned, share};
use super::tile::{Multiply, Start};
use super::{Product, Sizes};
use std::ops::Range;

/// Rows of a panel. It fits into a first-level cache or nearly so; with fewer rows, sums are loaded and
/// stored too often.
const DEPTH: usize = 192;

/// Most columns of a task, so that rows of weights are read in long pieces and their sums stay in a
/// second-level cache of a megabyte.
const COLUMNS: usize = 512;

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
        let sums = columns.longest() * batch;
        let piece = sums + width.panel * DEPTH.min(inputs);
        let room = aligned(room, piece * threads.min(columns.parts));
        let y = Parted::new(y);
        share(columns.parts, room, piece, |index, room| {
            let task = Task {
                product: self,
                layer,
                columns: columns.part(index),
                width,
            };
            task.run(room, sums, &y);
        });
    }
}

/// Some columns of y.
struct Task<'a, T> {
    product: Product,
    layer: Affine<'a, T>,
    columns: Range<usize>,
    width: Width,
}

impl<T: Scalar> Task<'_, T> {
    fn run(&self, room: &mut [T], sums: usize, y: &Parted<T>) {
        let Product { sizes, level } = self.product;
        let (sums, packed) = room.split_at_mut(sums);
        let mut pieces = self.pieces().peekable();
        while let Some((block, panel)) = pieces.next() {
            level.run(Pack {
                from: self.weights(&block, &panel),
                to: packed,
            });
            let (rows, columns) = pieces.peek().cloned().unwrap_or_default();
            level.run(Multiply {
                left: Rows {
                    numbers: &self.layer.x[block.start..],
                    stride: sizes.inputs,
                    rows: sizes.batch,
                    columns: block.len(),
                },
                panel: packed,
                to: &mut sums[panel.start * sizes.batch..],
                stride: self.width.padded(panel.len()),
                columns: panel.len(),
                start: if block.start == 0 {
                    Start::Zero
                } else {
                    Start::Sums
                },
                streamed: false,
                ahead: &mut Ahead::of(self.weights(&rows, &columns)),
            });
        }
        self.finish(sums, y);
    }

    /// Rows and columns of the weights that are multiplied at a time, in this order: a block of rows
    /// panel by panel, so that its part of x stays in the cache. Sums lie panel by panel.
    fn pieces(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let inputs = self.product.sizes.inputs;
        let blocks = (0..inputs).step_by(DEPTH);
        blocks.flat_map(move |start| {
            let panels = self.width.panels(self.columns.len());
            panels.map(move |panel| (start..inputs.min(start + DEPTH), panel))
        })
    }

    fn weights(&self, block: &Range<usize>, panel: &Range<usize>) -> Rows<'_, T> {
        let stride = self.product.sizes.outputs;
        Rows {
            numbers: &self.layer.weights[block.start * stride + self.columns.start + panel.start..],
            stride,
            rows: block.len(),
            columns: panel.len(),
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
