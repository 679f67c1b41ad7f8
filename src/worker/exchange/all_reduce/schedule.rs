//! Who sends which numbers when. In: rank, ranks and length of an array. Out: the parts of it that one
//! rank sends to the next one, and receives from the one before, in order. Pure.
//!
//! The array is cut into slabs and each slab into one piece a rank. A slab takes `2 (R − 1)` steps: in
//! the first half of them each rank adds its own numbers to the piece that comes and sends it on, until
//! every rank has one piece that is complete; in the second half complete pieces go round. Slabs follow
//! one another: in one tick each of the slabs that are under way makes one step, so that what comes in
//! one tick is sent on from the cache in the next.

use crate::worker::passes::Store;
use std::ops::Range;

/// Numbers in a piece. The pieces of all slabs under way stay in the second-level cache.
const PIECE: usize = 32 << 10;

/// Pieces begin at a multiple of so many numbers: a cache line.
const LINE: usize = 16;

/// One part of the array that crosses a link.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// What is sent in a tick was received in earlier ones.
    pub tick: usize,
    pub elements: Range<usize>,
    /// What the receiver does with it.
    pub store: Store,
}

/// The moves of one rank for one array.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub rank: usize,
    pub ranks: usize,
    pub elements: usize,
    /// What the sum is multiplied with.
    pub scale: f32,
}

impl Schedule {
    /// What goes to the next rank.
    pub fn sends(self) -> impl Iterator<Item = Move> {
        self.moves(self.rank)
    }

    /// What comes from the rank before: exactly what that one sends.
    pub fn receives(self) -> impl Iterator<Item = Move> {
        self.moves((self.rank + self.ranks - 1) % self.ranks)
    }

    /// What `sender` sends.
    fn moves(self, sender: usize) -> impl Iterator<Item = Move> {
        let steps = 2 * (self.ranks - 1);
        let slabs = self.elements.div_ceil(self.slab());
        (0..slabs + steps - 1)
            .flat_map(move |tick| (0..steps).map(move |step| (tick, step)))
            .filter(move |(tick, step)| (*step..slabs + step).contains(tick))
            .map(move |(tick, step)| self.one(sender, tick, step))
            .filter(|part| !part.elements.is_empty())
    }

    fn slab(self) -> usize {
        self.ranks * PIECE
    }

    fn one(self, sender: usize, tick: usize, step: usize) -> Move {
        let piece = (sender + 2 * self.ranks - step) % self.ranks;
        let store = match step + 2 {
            left if left < self.ranks => Store::Summed { factor: 1.0 },
            left if left == self.ranks => Store::Summed { factor: self.scale },
            _ => Store::Cached,
        };
        Move {
            tick,
            elements: self.piece(tick - step, piece),
            store,
        }
    }

    /// Where a piece of a slab lies in the array; pieces of the last slab may be empty.
    fn piece(self, slab: usize, piece: usize) -> Range<usize> {
        let start = slab * self.slab();
        let length = self.slab().min(self.elements - start);
        let bound = |piece: usize| match piece == self.ranks {
            true => length,
            false => length * piece / self.ranks / LINE * LINE,
        };
        start + bound(piece)..start + bound(piece + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::passes::bring;
    use proptest::prelude::*;

    fn schedule(rank: usize, ranks: usize, elements: usize) -> Schedule {
        Schedule {
            rank,
            ranks,
            elements,
            scale: 0.5,
        }
    }

    proptest! {
        #[test]
        fn a_rank_receives_what_the_one_before_sends(ranks in 2usize..7, elements in 0usize..500_000) {
            for rank in 0..ranks {
                let sent = schedule(rank, ranks, elements).sends();
                let received = schedule((rank + 1) % ranks, ranks, elements).receives();
                prop_assert!(sent.eq(received));
            }
        }
    }

    /// Does a tick of all ranks at once: everything is sent before anything is received.
    fn tick(arrays: &mut [Vec<f32>], all: &[Vec<Move>], tick: usize) {
        let before = arrays.to_vec();
        let ranks = arrays.len();
        for (rank, own) in arrays.iter_mut().enumerate() {
            let sender = (rank + ranks - 1) % ranks;
            for part in all[sender].iter().filter(|part| part.tick == tick) {
                let come = &before[sender][part.elements.clone()];
                bring(come, &mut own[part.elements.clone()], part.store);
            }
        }
    }

    #[test]
    fn all_ranks_have_the_sum_when_moves_of_one_tick_do_not_wait_for_each_other() {
        for (ranks, elements) in [(2, 0), (2, 1), (2, 200_001), (3, 17), (5, 500_003), (6, 5)] {
            let all: Vec<Vec<Move>> = (0..ranks)
                .map(|rank| schedule(rank, ranks, elements).sends().collect())
                .collect();
            let number = |rank: usize, at: usize| ((rank + 1) * (at % 1000)) as f32;
            let mut arrays: Vec<Vec<f32>> = (0..ranks)
                .map(|rank| (0..elements).map(|at| number(rank, at)).collect())
                .collect();
            let last = all.iter().flatten().map(|part| part.tick).max();
            (0..=last.unwrap_or_default()).for_each(|now| tick(&mut arrays, &all, now));
            let sum = |at| 0.5 * (0..ranks).map(|rank| number(rank, at)).sum::<f32>();
            let sums: Vec<f32> = (0..elements).map(sum).collect();
            assert!(arrays.iter().all(|array| *array == sums));
        }
    }
}
