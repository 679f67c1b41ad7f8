//! Rows of filters in the order in which tiles take them: aligned panels of a few registers.
//!
//! A panel has the numbers of as many filters as a tile has registers for, row after row, filled up
//! with zeros to whole registers. It begins at a cache line: a load of a whole register that crosses
//! two lines costs twice, and a tile loads one for every six products.

use super::super::super::scalar::Scalar;
use super::super::super::simd::{Kernel, Vector};
use super::runs::parts;
use std::ops::Range;

/// Bytes.
const CACHE_LINE: usize = 64;

/// The registers of each panel.
#[inline(always)]
pub fn panels<V: Vector>(filters: usize) -> impl Iterator<Item = Range<usize>> {
    parts(filters.div_ceil(V::LANES), V::COLUMNS)
}

/// Numbers of the last of the registers `columns` that are filters.
#[inline(always)]
pub fn last_of<V: Vector>(columns: &Range<usize>, filters: usize) -> usize {
    (filters - (columns.end - 1) * V::LANES).min(V::LANES)
}

/// Room for `count` aligned numbers. Vectors promise no alignment: the first number says where the
/// aligned ones start, so that [`read`] is right wherever a copy of the vector lies.
pub fn make_room<T: Scalar>(numbers: &mut Vec<T>, count: usize) -> &mut [T] {
    let most = CACHE_LINE / size_of::<T>();
    numbers.resize(1 + most + count, T::zero());
    let start = 1 + numbers[1..].as_ptr().align_offset(CACHE_LINE).min(most);
    numbers[0] = T::from_byte(start as u8);
    &mut numbers[start..][..count]
}

/// The numbers from where [`make_room`] has put them.
pub fn read<T: Scalar>(numbers: &[T]) -> &[T] {
    &numbers[usize::from(numbers[0].to_byte())..]
}

/// Whether rows of `filters` numbers lie as one panel of `columns` registers would.
#[inline(always)]
pub fn is_panel<V: Vector>(rows: &[V::Element], filters: usize, columns: usize) -> bool {
    filters == columns * V::LANES && rows.as_ptr().addr().is_multiple_of(CACHE_LINE)
}

/// Overwrites `panel` with the registers `columns` of each row of `filters` numbers.
#[inline(always)]
pub fn lay_out<V: Vector>(
    rows: &[V::Element],
    filters: usize,
    columns: Range<usize>,
    panel: &mut [V::Element],
) {
    let last = last_of::<V>(&columns, filters);
    let width = columns.len() * V::LANES;
    let count = rows.len() / filters;
    assert_eq!(panel.len(), count * width);
    for row in 0..count {
        // SAFETY: the row has `filters` numbers, and the registers end with them; the panel has
        // whole registers for each row.
        unsafe {
            let from = rows.as_ptr().add(row * filters + columns.start * V::LANES);
            let to = panel.as_mut_ptr().add(row * width);
            let whole = width - V::LANES;
            for at in (0..whole).step_by(V::LANES) {
                V::load(from.add(at)).store(to.add(at));
            }
            V::load_first(from.add(whole), last).store(to.add(whole));
        }
    }
}

/// Lays out rows of filters in panels, one after the other.
pub struct LayOut<'a, T> {
    pub rows: &'a [T],
    pub filters: usize,
    pub prepared: &'a mut Vec<T>,
}

impl<T: Scalar> Kernel<T> for LayOut<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = T>>(self) {
        let count = self.rows.len() / self.filters;
        assert_eq!(self.rows.len(), count * self.filters);
        let mut room = make_room(
            self.prepared,
            count * self.filters.next_multiple_of(V::LANES),
        );
        for columns in panels::<V>(self.filters) {
            let (panel, rest) = room.split_at_mut(count * columns.len() * V::LANES);
            lay_out::<V>(self.rows, self.filters, columns, panel);
            room = rest;
        }
    }
}
