//! Scattered memory as one array. In: the memory of some tensors. Out: slices of it by their place in
//! the array. Copies nothing.

use crate::worker::parameters::Memory;
use std::ops::Range;

/// Some memory, one after the other.
pub struct Flat<'a> {
    parts: &'a [Memory],
    /// Where each part ends in the array.
    ends: Vec<usize>,
}

impl<'a> Flat<'a> {
    pub fn of(parts: &'a [Memory]) -> Self {
        let end = |end: &mut usize, part: &Memory| {
            *end += part.len();
            Some(*end)
        };
        Self {
            parts,
            ends: parts.iter().scan(0, end).collect(),
        }
    }

    /// Numbers in all parts.
    pub fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    /// The first of the elements, as many as lie side by side. Panics where the first one is beyond the
    /// end.
    ///
    /// # Safety
    /// The memory lives, and nobody else uses these numbers while the slice does.
    pub unsafe fn first_of(&self, elements: &Range<usize>) -> &'a mut [f32] {
        let at = self.ends.partition_point(|end| *end <= elements.start);
        let start = self.ends[at] - self.parts[at].len();
        let until = elements.end.min(self.ends[at]);
        // SAFETY: as promised.
        unsafe { self.parts[at].slice_mut(elements.start - start..until - start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_range_are_found_where_they_lie() {
        let mut numbers = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let [a, b] = &mut numbers;
        let parts = [
            Memory::of_slice(&mut []),
            Memory::of_slice(a),
            Memory::of_slice(&mut []),
            Memory::of_slice(b),
        ];
        let flat = Flat::of(&parts);
        assert_eq!(flat.len(), 6);
        // SAFETY: one slice at a time, of memory that lives to the end of the test.
        unsafe {
            assert_eq!(flat.first_of(&(1..5)), [2.0, 3.0]);
            assert_eq!(flat.first_of(&(3..5)), [4.0, 5.0]);
            assert_eq!(flat.first_of(&(5..6)), [6.0]);
        }
    }
}
