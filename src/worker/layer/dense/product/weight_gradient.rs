//! `dw = xᵀ · dy + decay · w`. Each task computes some rows, those of a few inputs: it transposes their
//! columns of x and multiplies them by one panel of dy after the other.

use super::super::super::scalar::Scalar;
use super::super::super::simd::transpose::Transpose;
use super::ahead::Ahead;
use super::pack::{Pack, Rows, Width};
use super::share::{Parted, Split, aligned, share};
use super::tile::{Multiply, ROWS, Start};
use super::{Product, Sizes};

/// Tiles, one above the other, of a task: so many that a panel is read from afar a few times only,
/// and their rows of xᵀ stay in the second-level cache.
const TILES: usize = 16;

/// Numbers of a gradient that no cache keeps until it is used.
const LARGE: usize = 1 << 20;

/// What the gradient of the weights is made of.
#[derive(Clone, Copy)]
pub struct Correlation<'a, T> {
    /// `(batch, inputs)`
    pub x: &'a [T],
    /// `(batch, outputs)`
    pub dy: &'a [T],
    /// `(inputs, outputs)`
    pub weights: &'a [T],
    /// The part of the weights that is added to their gradient.
    pub decay: T,
}

impl Product {
    /// Overwrites `dw`, `(inputs, outputs)`. Panics where a slice has another length.
    pub fn weight_gradient<T: Scalar>(self, of: Correlation<T>, dw: &mut [T], room: &mut Vec<T>) {
        let Sizes {
            batch,
            inputs,
            outputs,
        } = self.sizes;
        assert_eq!(of.x.len(), batch * inputs, "inputs");
        assert_eq!(of.dy.len(), batch * outputs, "gradients");
        assert_eq!(of.weights.len(), inputs * outputs, "weights");
        assert_eq!(dw.len(), inputs * outputs, "gradients of weights");
        let (width, threads) = (Width::of::<T>(self.level), self.threads());
        let rows = Split::new(inputs, ROWS, TILES, threads);
        let (packed, piece) = (batch * width.padded(outputs), batch * rows.longest());
        let room = aligned(room, packed + piece * threads.min(rows.parts));
        let (packed, room) = room.split_at_mut(packed);
        self.pack(of.dy, packed, width);
        let dw = Parted::new(dw);
        share(rows.parts, room, piece, |index, transposed| {
            let rows = rows.part(index);
            self.level.run(Transpose {
                from: &of.x[rows.start..],
                from_stride: inputs,
                rows: batch,
                columns: rows.len(),
                to: transposed,
                to_stride: batch,
            });
            let numbers = rows.start * outputs..rows.end * outputs;
            // SAFETY: these rows are this task's alone.
            let dw = unsafe { dw.part(numbers.clone()) };
            for panel in width.panels(outputs) {
                let next = &packed[(panel.end * batch).min(packed.len())..];
                let mut ahead = Ahead::of(Rows {
                    numbers: next,
                    stride: 0,
                    rows: 1,
                    columns: next.len().min(width.panel * batch),
                });
                self.level.run(Multiply {
                    left: Rows {
                        numbers: transposed,
                        stride: batch,
                        rows: rows.len(),
                        columns: batch,
                    },
                    panel: &packed[panel.start * batch..],
                    to: &mut dw[panel.start..],
                    stride: outputs,
                    columns: panel.len(),
                    start: if of.decay == T::zero() {
                        Start::Zero
                    } else {
                        Start::Scaled(of.decay, &of.weights[numbers.clone()][panel.start..])
                    },
                    streamed: inputs * outputs >= LARGE,
                    ahead: &mut ahead,
                });
            }
        });
    }

    /// Packs dy.
    fn pack<T: Scalar>(self, dy: &[T], packed: &mut [T], width: Width) {
        let Sizes { batch, outputs, .. } = self.sizes;
        let blocks = Split::new(outputs, width.panel, 4, self.threads());
        let packed = Parted::new(packed);
        share(
            blocks.parts,
            &mut vec![(); self.threads()],
            1,
            |index, _| {
                let columns = blocks.part(index);
                let at = columns.start * batch;
                // SAFETY: these panels are this task's alone.
                let to = unsafe { packed.part(at..at + width.padded(columns.len()) * batch) };
                self.level.run(Pack {
                    from: Rows {
                        numbers: &dy[columns.start..],
                        stride: outputs,
                        rows: batch,
                        columns: columns.len(),
                    },
                    to,
                });
            },
        );
    }
}
