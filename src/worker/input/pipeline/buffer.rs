//! In: examples, and which work on them is done. Out: which work can be done next, and the examples that
//! a batch is made of. The order of a shuffle buffer; knows neither threads nor what examples are.

use super::super::random::{Draws, Use};
use super::Shape;
use std::collections::VecDeque;

/// How many examples a thread fills before it asks for work again.
const FILL: usize = 32;

/// What a thread is to do with the cells that it was given. A cell holds one example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Put `count` examples from `first` on into the cells, and into new ones where they are too few.
    Fill { first: u64, count: usize },
    /// Make batch `number` of the cells, in their order.
    Gather { number: u64 },
}

/// The cells of a shuffle buffer, less those in the hands of threads.
///
/// Batch `k` is drawn from the first `shape.buffer` + (`k` + 1) · `shape.batch` examples less the `k`
/// batches before it, so its content depends on the seed alone: not on the number of threads, nor on
/// who was faster. As in a TensorFlow shuffle queue, at least `shape.buffer` examples stay behind.
#[derive(Debug)]
pub struct ShuffleBuffer<C> {
    shape: Shape,
    /// Cells whose examples have left.
    free: Vec<Box<C>>,
    /// How many cells were not yet made: whoever fills a cell first makes it.
    unmade: usize,
    /// The newest examples in their order, not yet drawn from: none for one that is being filled.
    arriving: VecDeque<Option<Box<C>>>,
    /// How many of them from the front on are all there.
    whole: usize,
    /// What batches are drawn from.
    pool: Vec<Box<C>>,
    next_example: u64,
    next_batch: u64,
}

impl<C> ShuffleBuffer<C> {
    pub fn new(shape: Shape) -> Self {
        // What a draw needs, and room to work ahead of it.
        let ahead = (2 * shape.batch).max(shape.threads * FILL);
        Self {
            shape,
            free: Vec::new(),
            unmade: shape.buffer + shape.batch + ahead,
            arriving: VecDeque::new(),
            whole: 0,
            pool: Vec::with_capacity(shape.buffer + shape.batch),
            next_example: 0,
            next_batch: 0,
        }
    }

    /// Whether all examples of the next batch's draw are filled.
    pub fn is_full(&self) -> bool {
        self.whole >= self.missing()
    }

    /// Whether a cell can be filled.
    pub fn has_room(&self) -> bool {
        self.unmade + self.free.len() > 0
    }

    /// The next batch, with its cells in `cells`; none while the buffer is not full.
    pub fn gather(&mut self, cells: &mut Vec<Box<C>>) -> Option<Work> {
        if !self.is_full() {
            return None;
        }
        let missing = self.missing();
        self.whole -= missing;
        let arrived = self.arriving.drain(..missing);
        self.pool
            .extend(arrived.map(|cell| cell.expect("whole examples are there")));
        let number = self.next_batch;
        let mut draws = Draws::new(self.shape.seed, Use::Shuffle, number);
        for _ in 0..self.shape.batch {
            let place = draws.below(self.pool.len());
            cells.push(self.pool.swap_remove(place));
        }
        self.next_batch += 1;
        Some(Work::Gather { number })
    }

    /// The next examples to fill, with free cells in `cells`; none while there is no room.
    pub fn fill(&mut self, cells: &mut Vec<Box<C>>) -> Option<Work> {
        let count = FILL.min(self.unmade + self.free.len());
        if count == 0 {
            return None;
        }
        let used = count.min(self.free.len());
        cells.extend(self.free.drain(self.free.len() - used..));
        self.unmade -= count - used;
        self.arriving.extend((0..count).map(|_| None));
        let first = self.next_example;
        self.next_example += count as u64;
        Some(Work::Fill { first, count })
    }

    /// Takes back the `cells` with the examples from `first` on.
    pub fn fill_done(&mut self, first: u64, cells: &mut Vec<Box<C>>) {
        let oldest = self.next_example - self.arriving.len() as u64;
        let start = (first - oldest) as usize;
        let places = self.arriving.range_mut(start..start + cells.len());
        for (place, cell) in places.zip(cells.drain(..)) {
            *place = Some(cell);
        }
        while self.arriving.get(self.whole).is_some_and(Option::is_some) {
            self.whole += 1;
        }
    }

    /// Takes back `cells` whose examples are in a batch.
    pub fn gather_done(&mut self, cells: &mut Vec<Box<C>>) {
        self.free.append(cells);
    }

    /// How many examples must join the pool before the next batch is drawn.
    fn missing(&self) -> usize {
        self.shape.buffer + self.shape.batch - self.pool.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(batch: usize, buffer: usize, threads: usize) -> Shape {
        Shape {
            width: 1,
            batch,
            buffer,
            threads,
            consumers: 1,
            seed: 9,
        }
    }

    /// Each example is its number.
    #[expect(clippy::vec_box, reason = "cells are boxes for any example")]
    fn write(first: u64, count: usize, cells: &mut Vec<Box<u64>>) {
        cells.resize_with(count, Box::default);
        cells
            .iter_mut()
            .zip(first..)
            .for_each(|(cell, number)| **cell = number);
    }

    /// The examples of the first `batches` batches, where `choose` says which of the pieces of work
    /// in progress ends next.
    fn drawn(
        shape: Shape,
        batches: usize,
        mut choose: impl FnMut(usize) -> usize,
    ) -> Vec<Vec<u64>> {
        let mut buffer = ShuffleBuffer::new(shape);
        let mut done = vec![Vec::new(); batches];
        let mut running: Vec<(Work, Vec<Box<u64>>)> = Vec::new();
        let mut remaining = batches;
        while remaining > 0 {
            let mut cells = Vec::new();
            while running.len() < shape.threads {
                let Some(work) = buffer
                    .gather(&mut cells)
                    .or_else(|| buffer.fill(&mut cells))
                else {
                    break;
                };
                running.push((work, std::mem::take(&mut cells)));
            }
            let (work, mut cells) = running.swap_remove(choose(running.len()));
            match work {
                Work::Fill { first, count } => {
                    write(first, count, &mut cells);
                    buffer.fill_done(first, &mut cells);
                }
                Work::Gather { number } => {
                    if let Some(batch) = done.get_mut(number as usize) {
                        *batch = cells.iter().map(|cell| **cell).collect();
                        remaining -= 1;
                    }
                    buffer.gather_done(&mut cells);
                }
            }
        }
        done
    }

    proptest! {
        #[test]
        fn batches_depend_on_the_seed_alone(
            batch in 1_usize..50, buffer in 0_usize..200, threads in 1_usize..9, luck: u64,
        ) {
            let mut draws = Draws::new(luck, Use::Record, 0);
            let alone = drawn(shape(batch, buffer, 1), 12, |_| 0);
            let raced = drawn(shape(batch, buffer, threads), 12, |count| draws.below(count));
            prop_assert_eq!(&alone, &raced);
            let mut all: Vec<u64> = alone.concat();
            all.sort();
            all.dedup();
            prop_assert_eq!(all.len(), 12 * batch, "no example comes twice");
        }
    }

    #[test]
    fn a_draw_leaves_a_full_buffer_behind() {
        let mut buffer = ShuffleBuffer::new(shape(4, 100, 1));
        let mut cells = Vec::new();
        let mut filled = 0;
        while buffer.gather(&mut cells).is_none() {
            let Some(Work::Fill { first, count }) = buffer.fill(&mut cells) else {
                panic!("no cell is free before the first batch");
            };
            write(first, count, &mut cells);
            buffer.fill_done(first, &mut cells);
            filled += count;
        }
        assert!(filled >= 104);
        assert_eq!(buffer.pool.len(), 100);
    }

    #[test]
    fn a_buffer_spreads_examples_and_none_keeps_batches_together() {
        let spread = drawn(shape(10, 500, 1), 30, |_| 0);
        let ordered = spread
            .concat()
            .windows(2)
            .filter(|w| w[1] == w[0] + 1)
            .count();
        assert!(ordered < 5, "{ordered} neighbours stayed together");
        let early = spread[0].iter().filter(|e| **e < 255).count();
        assert!((1..10).contains(&early), "{:?}", spread[0]);
        for (number, batch) in drawn(shape(10, 0, 1), 30, |_| 0).iter_mut().enumerate() {
            batch.sort();
            assert!(
                batch
                    .iter()
                    .copied()
                    .eq(10 * number as u64..10 * (number as u64 + 1))
            );
        }
    }
}
