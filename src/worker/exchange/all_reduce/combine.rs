//! What is done with numbers that have come. In: numbers of the neighbour, own ones. Out: own ones,
//! changed. Knows not where they come from.

use crate::worker::layer::simd::{self, Kernel, Vector};

/// Numbers from one that is added to those that are fetched meanwhile: a page, since the hardware
/// fetches no line of the next one.
const AHEAD: usize = 4096 / size_of::<f32>();

/// How numbers that come are joined with the own ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Combine {
    /// They take their place.
    Copy,
    /// `(own + come) · factor`.
    AddAndScale(f32),
}

impl Combine {
    /// Panics where the two differ in length.
    pub fn apply(self, own: &mut [f32], come: &[f32]) {
        match self {
            Self::Copy => own.copy_from_slice(come),
            Self::AddAndScale(factor) => simd::run(AddAndScale { own, come, factor }),
        }
    }
}

struct AddAndScale<'a> {
    own: &'a mut [f32],
    come: &'a [f32],
    factor: f32,
}

impl Kernel<f32> for AddAndScale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(mut self) {
        let length = self.own.len();
        assert_eq!(self.come.len(), length, "numbers that come");
        let whole = length - length % V::LANES;
        for at in (0..whole).step_by(V::LANES) {
            V::prefetch(self.own.as_ptr().wrapping_add(at + AHEAD));
            self.register::<V>(at, V::LANES);
        }
        if whole < length {
            self.register::<V>(whole, length - whole);
        }
    }
}

impl AddAndScale<'_> {
    /// `count` numbers from `at` on, which lie within both slices.
    #[inline(always)]
    fn register<V: Vector<Element = f32>>(&mut self, at: usize, count: usize) {
        let (own, come) = (&mut self.own[at..at + count], &self.come[at..at + count]);
        // SAFETY: both slices have `count` numbers, at most `LANES`; whole registers are `LANES` long.
        unsafe {
            if count == V::LANES {
                let sum = V::load(own.as_ptr()).add(V::load(come.as_ptr()));
                sum.mul(V::splat(self.factor)).store(own.as_mut_ptr());
            } else {
                let own_lanes = V::load_first(own.as_ptr(), count);
                let sum = own_lanes.add(V::load_first(come.as_ptr(), count));
                sum.mul(V::splat(self.factor))
                    .store_first(own.as_mut_ptr(), count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_any_length_is_added_once() {
        for length in 0..70 {
            let mut own: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let come: Vec<f32> = (0..length).map(|i| 100.0 * i as f32).collect();
            Combine::AddAndScale(0.5).apply(&mut own, &come);
            let sum: Vec<f32> = (0..length).map(|i| 50.5 * i as f32).collect();
            assert_eq!(own, sum);
            Combine::Copy.apply(&mut own, &come);
            assert_eq!(own, come);
        }
    }
}
