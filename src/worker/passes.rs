//! The fastest passes over long arrays that this processor has: they fetch ahead, and what is not read
//! again soon is stored past the caches, which saves reading it first. In: addresses, since other
//! processes may write there meanwhile. Knows neither rounds nor clocks.

use crate::worker::layer::simd::{self, Kernel, Vector};

/// Numbers from one that is used to those that are fetched meanwhile: a page.
pub const AHEAD: usize = 4096 / size_of::<f32>();

/// What becomes of numbers as they arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Store {
    /// They replace what was there, past the caches.
    Streamed,
    /// They replace what was there and stay in the cache.
    Cached,
    /// They are added to what was there, and the sum is multiplied.
    Summed { factor: f32 },
}

/// Brings `from` to `to`, which are of the same length.
pub fn bring(from: &[f32], to: &mut [f32], store: Store) {
    assert_eq!(from.len(), to.len(), "both ends of a copy");
    // SAFETY: two slices of this length, one of them exclusive.
    unsafe { bring_raw(from.as_ptr(), to.as_mut_ptr(), from.len(), store) }
}

/// Brings numbers from one place to another.
///
/// # Safety
/// So many numbers can be read at `from` and written at `to`, and the two do not overlap. Another
/// process may write `from` or read `to` meanwhile: any bits are numbers.
pub unsafe fn bring_raw(from: *const f32, to: *mut f32, length: usize, store: Store) {
    simd::run(Bring {
        from,
        to,
        length,
        store,
    });
}

struct Bring {
    from: *const f32,
    to: *mut f32,
    length: usize,
    store: Store,
}

impl Kernel<f32> for Bring {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Element = f32>>(self) {
        // Streams want whole registers at multiples of their size.
        let head = self.to.align_offset(size_of::<V>()).min(self.length);
        let whole = (self.length - head) / V::LANES * V::LANES;
        // SAFETY: the three parts follow each other up to the length.
        unsafe {
            self.few::<V>(0, head);
            match self.store {
                Store::Streamed => self.registers::<V, 0>(head, head + whole),
                Store::Cached => self.registers::<V, 1>(head, head + whole),
                Store::Summed { .. } => self.registers::<V, 2>(head, head + whole),
            }
            self.few::<V>(head + whole, self.length);
        }
        V::fence();
    }
}

impl Bring {
    fn factor(&self) -> f32 {
        match self.store {
            Store::Summed { factor } => factor,
            Store::Streamed | Store::Cached => 1.0,
        }
    }

    /// Whole registers. `STORE` is one of [`Store`], known in the loop.
    #[inline(always)]
    unsafe fn registers<V: Vector<Element = f32>, const STORE: u8>(
        &self,
        from: usize,
        until: usize,
    ) {
        let factor = V::splat(self.factor());
        for at in (from..until).step_by(V::LANES) {
            // SAFETY: a register lies there, as promised; any address may be fetched.
            unsafe {
                let (source, target) = (self.from.add(at), self.to.add(at));
                V::prefetch(source.wrapping_add(AHEAD));
                let numbers = V::load(source);
                match STORE {
                    0 => numbers.stream(target),
                    1 => numbers.store(target),
                    _ => {
                        V::prefetch(target.wrapping_add(AHEAD));
                        numbers.add(V::load(target)).mul(factor).store(target);
                    }
                }
            }
        }
    }

    /// Fewer numbers than a register has, or none.
    #[inline(always)]
    unsafe fn few<V: Vector<Element = f32>>(&self, from: usize, until: usize) {
        let count = until - from;
        if count == 0 {
            return;
        }
        // SAFETY: so many numbers lie there, as promised.
        unsafe {
            let (source, target) = (self.from.add(from), self.to.add(from));
            let numbers = V::load_first(source, count);
            let result = match self.store {
                Store::Summed { factor } => {
                    let sum = numbers.add(V::load_first(target, count));
                    sum.mul(V::splat(factor))
                }
                Store::Streamed | Store::Cached => numbers,
            };
            result.store_first(target, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_arrives_at_any_alignment() {
        let from: Vec<f32> = (0..200).map(|i| i as f32).collect();
        for (start, length) in [(0, 0), (1, 1), (3, 14), (0, 64), (5, 131), (2, 198)] {
            let numbers = &from[start..start + length];
            let summed = Store::Summed { factor: 0.5 };
            for store in [Store::Streamed, Store::Cached, summed] {
                let mut to = vec![1.0; 200];
                bring(numbers, &mut to[200 - length..], store);
                let due = |i: usize| match (i.checked_sub(200 - length), store) {
                    (None, _) => 1.0,
                    (Some(i), Store::Summed { factor }) => (1.0 + numbers[i]) * factor,
                    (Some(i), _) => numbers[i],
                };
                assert!(
                    to.iter().enumerate().all(|(i, x)| *x == due(i)),
                    "{store:?}"
                );
            }
        }
    }
}
