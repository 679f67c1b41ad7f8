//! In: which work is done. Out: which work can be done next, and which examples a batch is made of.
//! The bookkeeping of a shuffle buffer; knows neither threads nor the examples themselves.

use super::super::random::{Draws, Use};
use super::Shape;
use std::collections::VecDeque;

/// How many examples a thread fills before it asks for work again.
const FILL: usize = 32;

/// What a thread is to do with the cells that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Put consecutive examples from `first` on into the cells.
    Fill { first: u64 },
    /// Copy the cells into batch `number`.
    Gather { number: u64 },
}

/// Which example lies in which cell, and which may be drawn.
///
/// Batch `k` is drawn from the first `shape.buffer` + (`k` + 1) · `shape.batch` examples less the `k`
/// batches before it, so its content depends on the seed alone: not on the number of threads, nor on
/// who was faster. As in a TensorFlow shuffle queue, at least `shape.buffer` examples stay behind.
#[derive(Debug)]
pub struct ShuffleBuffer {
    shape: Shape,
    free: Vec<usize>,
    /// Cells of the newest examples, in example order, not yet drawn from.
    arriving: VecDeque<usize>,
    /// For the arriving examples that follow the first `whole`: whether they are filled.
    filled: VecDeque<bool>,
    /// How many arriving examples from the front are all filled.
    whole: usize,
    /// Cells that batches are drawn from.
    pool: Vec<usize>,
    next_example: u64,
    next_batch: u64,
}

impl ShuffleBuffer {
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            free: (0..Self::cells(&shape)).rev().collect(),
            arriving: VecDeque::new(),
            filled: VecDeque::new(),
            whole: 0,
            pool: Vec::with_capacity(shape.buffer + shape.batch),
            next_example: 0,
            next_batch: 0,
        }
    }

    /// How many cells a buffer of this shape uses: what a draw needs, and room to work ahead of it.
    pub fn cells(shape: &Shape) -> usize {
        shape.buffer + shape.batch + (2 * shape.batch).max(shape.threads * FILL)
    }

    /// Whether all examples of the next batch's draw are filled.
    pub fn is_full(&self) -> bool {
        self.whole >= self.missing()
    }

    /// Whether a cell is free to be filled.
    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// The next batch, with its cells in `cells`; none while the buffer is not full.
    pub fn gather(&mut self, cells: &mut Vec<usize>) -> Option<Work> {
        if !self.is_full() {
            return None;
        }
        let missing = self.missing();
        self.whole -= missing;
        self.pool.extend(self.arriving.drain(..missing));
        let number = self.next_batch;
        let mut draws = Draws::new(self.shape.seed, Use::Shuffle, number);
        cells.clear();
        for _ in 0..self.shape.batch {
            let place = draws.below(self.pool.len());
            cells.push(self.pool.swap_remove(place));
        }
        self.next_batch += 1;
        Some(Work::Gather { number })
    }

    /// The next examples to fill, with their cells in `cells`; none while no cell is free.
    pub fn fill(&mut self, cells: &mut Vec<usize>) -> Option<Work> {
        let count = FILL.min(self.free.len());
        if count == 0 {
            return None;
        }
        cells.clear();
        cells.extend(self.free.drain(self.free.len() - count..));
        self.arriving.extend(cells.iter());
        self.filled.extend(cells.iter().map(|_| false));
        let first = self.next_example;
        self.next_example += count as u64;
        Some(Work::Fill { first })
    }

    /// Notes that `count` examples from `first` on are in their cells.
    pub fn fill_done(&mut self, first: u64, count: usize) {
        let oldest = self.next_example - self.filled.len() as u64;
        let start = (first - oldest) as usize;
        self.filled
            .range_mut(start..start + count)
            .for_each(|filled| *filled = true);
        while self.filled.front() == Some(&true) {
            self.filled.pop_front();
            self.whole += 1;
        }
    }

    /// Notes that `cells` were copied into a batch.
    pub fn gather_done(&mut self, cells: &[usize]) {
        self.free.extend(cells);
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
    use std::collections::HashMap;

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

    /// The examples of the first `batches` batches, where `choose` says which of the pieces of work
    /// in progress ends next.
    fn drawn(
        shape: Shape,
        batches: usize,
        mut choose: impl FnMut(usize) -> usize,
    ) -> Vec<Vec<u64>> {
        let mut buffer = ShuffleBuffer::new(shape);
        let mut content = HashMap::new();
        let mut done = vec![Vec::new(); batches];
        let mut running: Vec<(Work, Vec<usize>)> = Vec::new();
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
                running.push((work, cells.clone()));
            }
            let (work, cells) = running.swap_remove(choose(running.len()));
            match work {
                Work::Fill { first } => {
                    content.extend(cells.iter().copied().zip(first..));
                    buffer.fill_done(first, cells.len());
                }
                Work::Gather { number } => {
                    if let Some(batch) = done.get_mut(number as usize) {
                        *batch = cells.iter().map(|cell| content[cell]).collect();
                        remaining -= 1;
                    }
                    buffer.gather_done(&cells);
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
            let Some(Work::Fill { first }) = buffer.fill(&mut cells) else {
                panic!("no cell is free before the first batch");
            };
            buffer.fill_done(first, cells.len());
            filled += cells.len();
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
