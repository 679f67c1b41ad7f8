//! The sizes of a pipeline, and how far its threads work ahead. Knows neither threads nor examples.

/// Examples for which a consumer that waits is woken, where several threads make them: to wake another
/// core can cost a thread as much time as to make a hundred.
const WORTH_WAKING: usize = 2048;
/// No more batches than this are waited for, however small they are.
const MOST_TOGETHER: usize = 16;

/// The sizes of a pipeline.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Values of an example.
    pub width: usize,
    /// Examples of a batch.
    pub batch: usize,
    /// Examples that stay in the shuffle buffer when a batch is drawn.
    pub buffer: usize,
    pub threads: usize,
    /// Replicas that take batches from it.
    pub consumers: usize,
    /// What the order of examples is drawn from.
    pub seed: u64,
}

impl Shape {
    /// How many batches may be waiting or in the making: two for each consumer, and those for which it
    /// is woken.
    pub(super) fn queue(&self) -> usize {
        2 * self.consumers + self.together() - 1
    }

    /// How many batches there are at most, where each consumer holds up to `held`.
    pub fn batches(&self, held: usize) -> usize {
        self.queue() + self.consumers * held
    }

    /// For how many batches a consumer is woken. One of a single thread: taken at once, its memory is
    /// free for the thread's next batch while it is still in the cache.
    pub(super) fn together(&self) -> usize {
        match self.threads {
            1 => 1,
            _ => (WORTH_WAKING / self.batch).clamp(1, MOST_TOGETHER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_are_woken_for_batches_that_are_worth_it() {
        let together = |threads, batch| {
            let shape = Shape {
                width: 1,
                batch,
                buffer: 0,
                threads,
                consumers: 1,
                seed: 1,
            };
            assert!(
                shape.queue() > shape.together(),
                "threads never wait for who rests"
            );
            shape.together()
        };
        assert_eq!([1, 128, 4096].map(|batch| together(1, batch)), [1; 3]);
        assert_eq!(
            [1, 128, 500, 4096].map(|batch| together(2, batch)),
            [16, 16, 4, 1]
        );
    }
}
