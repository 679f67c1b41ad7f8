//! Panels: what the register tile reads of the right factor, in the order in which it does.
//!
//! A panel is some neighbouring columns of the right factor, at most as many as stand side by side
//! in the tile. Its rows lie one behind the other, filled up with zeros to whole registers. Rows of a
//! matrix of weights lie kilobytes apart, which a tile that read them in place would pay for with a
//! page each, and with cache lines that drive each other out.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Level, Vector};
use std::ops::Range;

/// What a level's registers ask of panels.
#[derive(Clone, Copy)]
pub struct Width {
    /// Numbers of a register.
    pub lanes: usize,
    /// Numbers of a row of the widest panel.
    pub panel: usize,
}

impl Width {
    pub fn of<T: Scalar>(level: Level) -> Self {
        level.run::<T, _>(AskWidth)
    }

    /// Numbers of a packed row of `columns`.
    pub fn padded(self, columns: usize) -> usize {
        columns.next_multiple_of(self.lanes)
    }

    /// The columns of each panel of `columns`. Only the last one may be narrower than the widest, so
    /// a panel of `rows` rows starts at `rows · start` of all that is packed.
    pub fn panels(self, columns: usize) -> impl Iterator<Item = Range<usize>> {
        let panel = move |start| start..columns.min(start + self.panel);
        (0..columns).step_by(self.panel).map(panel)
    }
}

struct AskWidth;

impl<T: Scalar> Kernel<T> for AskWidth {
    type Output = Width;

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) -> Width {
        Width {
            lanes: V::LANES,
            panel: V::LANES * V::COLUMNS,
        }
    }
}

/// A matrix within a larger one: its rows are `stride` apart.
#[derive(Clone, Copy)]
pub struct Rows<'a, T> {
    pub numbers: &'a [T],
    pub stride: usize,
    pub rows: usize,
    pub columns: usize,
}

impl<T> Rows<'_, T> {
    /// Panics unless all rows lie within the slice.
    pub fn check(&self) {
        let end = self.rows.saturating_sub(1) * self.stride + self.columns;
        assert!(end <= self.numbers.len(), "rows beyond their slice");
    }
}

/// Copies a matrix into panels, one after the other.
pub struct Pack<'a, T> {
    pub from: Rows<'a, T>,
    pub to: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        let Self { from, to } = self;
        from.check();
        let registers = from.columns.div_ceil(V::LANES);
        assert!(
            to.len() >= from.rows * registers * V::LANES,
            "too little room"
        );
        for row in 0..from.rows {
            for first in (0..registers).step_by(V::COLUMNS) {
                let count = V::COLUMNS.min(registers - first);
                for register in first..first + count {
                    let column = register * V::LANES;
                    let at = (first * from.rows + row * count + register - first) * V::LANES;
                    // SAFETY: the number in `row` and `column` lies within `from`, as do those of a
                    // whole or partial register behind it; a panel ends where the next one starts.
                    unsafe {
                        let numbers = from.numbers.as_ptr().add(row * from.stride + column);
                        let numbers = if column + V::LANES <= from.columns {
                            V::load(numbers)
                        } else {
                            V::load_first(numbers, from.columns - column)
                        };
                        numbers.store(to.as_mut_ptr().add(at));
                    }
                }
            }
        }
    }
}
