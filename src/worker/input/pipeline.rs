//! In: a source that makes example number `n`. Out: batches of shuffled examples, made ahead by threads
//! of its own. Knows nothing of images, devices and replicas.

mod batch;
mod buffer;
mod shape;

use anyhow::{Context, Result, anyhow, bail};
use buffer::{ShuffleBuffer, Work};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use batch::{HostBatch, Values};
pub use shape::Shape;

/// A consumer that comes back within this time outruns the threads: it waits for several batches
/// together, for so long at most. Who trains meanwhile comes later, and gets a batch when it is ready.
const REST: Duration = Duration::from_millis(2);

/// What makes the examples of a pipeline. Called from many threads.
pub trait Source: Send + Sync + 'static {
    /// An example in the shuffle buffer, perhaps smaller than its values.
    type Example: Default + Send;

    /// Makes `examples` those from number `first` on.
    fn make(&self, first: u64, examples: &mut [Box<Self::Example>]);

    /// Appends the values and labels of `examples`, which lie anywhere in memory.
    fn append(&self, examples: &[Box<Self::Example>], batch: &mut HostBatch);
}

/// Threads that put examples into a shuffle buffer and gather batches from it.
///
/// Batch `k` has the same content whatever the number of threads. Dropping the pipeline ends its
/// threads, each after the piece of work in its hands.
pub struct Pipeline<S: Source> {
    shared: Arc<Shared<S>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<S: Source> {
    shape: Shape,
    source: S,
    state: Mutex<State<S::Example>>,
    /// For threads: there may be work.
    work: Condvar,
    /// For consumers: a batch, a full buffer or a failure.
    ready: Condvar,
}

struct State<C> {
    buffer: ShuffleBuffer<C>,
    started: bool,
    stopped: bool,
    /// Threads that wait for work.
    idle: usize,
    /// Consumers to wake when there is a batch, or when the buffer is full.
    waiting: usize,
    /// Consumers to wake when there are several batches.
    resting: usize,
    failure: Option<String>,
    /// The next batches in order: none for one that is still being gathered.
    queue: VecDeque<Option<HostBatch>>,
    /// The number of the first batch of `queue`.
    taken: u64,
    /// Batches whose memory is used again before new memory is.
    kept: Vec<HostBatch>,
    /// When a batch was taken last.
    taken_at: Option<Instant>,
}

impl<S: Source> Pipeline<S> {
    /// A pipeline whose threads wait for the first call of `prefill` or `next`.
    pub fn new(shape: Shape, source: S) -> Result<Self> {
        if shape.batch == 0 || shape.threads == 0 {
            bail!("an input pipeline needs input.threads and a batch of at least 1");
        }
        let shared = Arc::new(Shared {
            shape,
            source,
            state: Mutex::new(State {
                buffer: ShuffleBuffer::new(shape),
                started: false,
                stopped: false,
                idle: 0,
                waiting: 0,
                resting: 0,
                failure: None,
                queue: VecDeque::new(),
                taken: 0,
                kept: Vec::new(),
                taken_at: None,
            }),
            work: Condvar::new(),
            ready: Condvar::new(),
        });
        let mut pipeline = Self {
            shared,
            threads: Vec::with_capacity(shape.threads),
        };
        pipeline.spawn_threads()?;
        Ok(pipeline)
    }

    fn spawn_threads(&mut self) -> Result<()> {
        let everywhere = process_cpus()?;
        for number in 0..self.shared.shape.threads {
            let shared = self.shared.clone();
            let thread = std::thread::Builder::new()
                .name(format!("input-{number}"))
                .spawn(move || shared.run(&everywhere))
                .with_context(|| {
                    format!("cannot start input thread {number}; lower input.threads")
                })?;
            self.threads.push(thread);
        }
        Ok(())
    }

    /// Returns when the shuffle buffer is full. Replicas that share a pipeline may all call it.
    pub fn prefill(&self) -> Result<()> {
        let mut state = self.shared.start();
        // Once a batch was drawn, the buffer had been full.
        while !state.buffer.is_full() && state.taken == 0 && state.queue.is_empty() {
            state = self.shared.wait_ready(state)?;
        }
        Ok(())
    }

    /// The next batch; waits for it. Replicas that share a pipeline each get other batches.
    pub fn next(&self) -> Result<HostBatch> {
        let mut state = self.shared.start();
        let mut rests = self.shared.shape.together() > 1
            && state.taken_at.is_some_and(|at| at.elapsed() < REST);
        loop {
            if let Some(batch) = state.take() {
                self.shared.wake(state);
                return Ok(batch);
            }
            state = if rests {
                rests = false;
                self.shared.rest(state)
            } else {
                self.shared.wait_ready(state)?
            };
        }
    }

    /// The next batch if it is ready now.
    pub fn next_if_ready(&self) -> Option<HostBatch> {
        let mut state = self.shared.start();
        let batch = state.take()?;
        self.shared.wake(state);
        Some(batch)
    }

    /// Makes later batches in the memory of this one.
    pub fn keep(&self, mut batch: HostBatch) {
        batch.clear();
        self.shared.lock().kept.push(batch);
    }
}

impl<S: Source> Drop for Pipeline<S> {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().expect("an input thread catches its panics");
        }
    }
}

impl<S: Source> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, State<S::Example>> {
        self.state
            .lock()
            .expect("nothing panics while it holds the state")
    }

    /// Lets the threads begin, if they have not yet.
    fn start(&self) -> MutexGuard<'_, State<S::Example>> {
        let mut state = self.lock();
        if !state.started {
            state.started = true;
            self.work.notify_all();
        }
        state
    }

    /// Lets a consumer sleep until there are batches that are worth to be woken for, but not for long.
    fn rest<'a>(
        &self,
        mut state: MutexGuard<'a, State<S::Example>>,
    ) -> MutexGuard<'a, State<S::Example>> {
        state.resting += 1;
        let woken = self.ready.wait_timeout(state, REST);
        (state, _) = woken.expect("nothing panics while it holds the state");
        state.resting -= 1;
        state
    }

    /// Waits for a change that consumers care about.
    fn wait_ready<'a>(
        &self,
        mut state: MutexGuard<'a, State<S::Example>>,
    ) -> Result<MutexGuard<'a, State<S::Example>>> {
        if let Some(failure) = &state.failure {
            return Err(anyhow!("the input pipeline failed: {failure}"));
        }
        state.waiting += 1;
        let woken = self.ready.wait(state);
        state = woken.expect("nothing panics while it holds the state");
        state.waiting -= 1;
        Ok(state)
    }

    /// The life of one thread.
    fn run(&self, everywhere: &CpuSet) {
        // A thread inherits the cores of whoever started it, perhaps a pinned replica. Where the
        // kernel refuses, the thread works all the same.
        let _ = sched_setaffinity(None, everywhere);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work_until_stopped())) {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or(panic.downcast_ref::<&str>().copied());
            let mut state = self.lock();
            state.failure = Some(said.unwrap_or("a thread panicked").to_owned());
            state.stopped = true;
            self.work.notify_all();
            self.ready.notify_all();
        }
    }

    fn work_until_stopped(&self) {
        let mut cells = Vec::new();
        while let Some(work) = self.claim(&mut cells) {
            match work {
                Work::Fill { first, count } => {
                    cells.resize_with(count, Box::default);
                    self.fill(first, &mut cells);
                }
                Work::Gather { number } => self.gather(number, &mut cells),
            }
        }
    }

    /// The next piece of work, or none when the pipeline ends.
    fn claim(&self, cells: &mut Vec<Box<S::Example>>) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(work) = state.claim(self.shape.queue(), cells) {
                // Threads wake one another, each only if it leaves work: with sixteen on few cores,
                // waking all of them for every batch costs more than the batch.
                self.wake(state);
                return Some(work);
            }
            state.idle += 1;
            let woken = self.work.wait(state);
            state = woken.expect("nothing panics while it holds the state");
            state.idle -= 1;
        }
    }

    /// Wakes a thread if there is one and work for it: waking nobody is a system call, too. Gives the
    /// state back first, or whoever wakes would only wait for it.
    fn wake(&self, state: MutexGuard<'_, State<S::Example>>) {
        let wanted = state.idle > 0 && state.has_work(self.shape.queue());
        drop(state);
        if wanted {
            self.work.notify_one();
        }
    }

    fn fill(&self, first: u64, cells: &mut Vec<Box<S::Example>>) {
        self.source.make(first, cells);
        let mut state = self.lock();
        state.buffer.fill_done(first, cells);
        if state.taken == 0 && state.buffer.is_full() {
            self.ready.notify_all();
        }
    }

    fn gather(&self, number: u64, cells: &mut Vec<Box<S::Example>>) {
        let kept = self.lock().kept.pop();
        let mut batch = kept.unwrap_or_else(|| HostBatch::empty(&self.shape));
        self.source.append(cells, &mut batch);
        let mut state = self.lock();
        state.buffer.gather_done(cells);
        let place = (number - state.taken) as usize;
        state.queue[place] = Some(batch);
        let wanted = state.waiting > 0 && state.starts_with_ready(1)
            || state.resting > 0 && state.starts_with_ready(self.shape.together());
        drop(state);
        if wanted {
            self.ready.notify_all();
        }
    }
}

impl<C> State<C> {
    fn has_work(&self, queue: usize) -> bool {
        self.buffer.has_room() || self.queue.len() < queue && self.buffer.is_full()
    }

    /// The next batch if it is ready. None after a failure, though a thread may still end what it gathers: who was
    /// told of the failure gets no batch any more.
    fn take(&mut self) -> Option<HostBatch> {
        if self.failure.is_some() {
            return None;
        }
        let batch = self.queue.front_mut()?.take()?;
        self.queue.pop_front();
        self.taken += 1;
        self.taken_at = Some(Instant::now());
        Some(batch)
    }

    /// Whether the next `count` batches are ready.
    fn starts_with_ready(&self, count: usize) -> bool {
        self.queue.len() >= count && self.queue.iter().take(count).all(Option::is_some)
    }

    /// A batch if one can be gathered and has a place in the queue, else examples to fill.
    fn claim(&mut self, queue: usize, cells: &mut Vec<Box<C>>) -> Option<Work> {
        if !self.started {
            return None;
        }
        if self.queue.len() < queue
            && let Some(work) = self.buffer.gather(cells)
        {
            self.queue.push_back(None);
            return Some(work);
        }
        self.buffer.fill(cells)
    }
}

/// The CPUs that the process may use: those of its first thread, which nobody pins.
fn process_cpus() -> Result<CpuSet> {
    sched_getaffinity(Some(rustix::process::getpid()))
        .context("cannot ask the kernel for the process's CPUs")
}

#[cfg(test)]
mod tests;
