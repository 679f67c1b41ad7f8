//! The cores of one CPU device: a pool of pinned threads in which all of a replica's work runs, so
//! that no thread is shared between replicas.

use anyhow::{Context, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::atomic::{AtomicBool, Ordering};

/// A pool with one thread for each logical CPU in `cores`, pinned to it.
pub fn pinned_pool(replica: usize, cores: &[usize]) -> Result<ThreadPool> {
    let pinned = cores.to_vec();
    ThreadPoolBuilder::new()
        .num_threads(cores.len())
        .thread_name(move |thread| format!("replica-{replica}-{thread}"))
        .start_handler(move |thread| {
            // Evidence reads the kernel's answer back, so a refusal here is not lost.
            let _ = pin(pinned[thread]);
        })
        .build()
        .with_context(|| format!("starting {} threads for replica {replica}", cores.len()))
}

/// Binds the thread that calls to one logical CPU.
pub fn pin(core: usize) -> Result<()> {
    sched_setaffinity(None, &cpu_set(&[core]))
        .with_context(|| format!("binding a thread to core {core}"))
}

/// The logical CPUs that the threads of `pool` may really run on, sorted, each once.
pub fn bound_cores(pool: &ThreadPool) -> Result<Vec<usize>> {
    let sets = pool.broadcast(|_| sched_getaffinity(None));
    let mut cores = Vec::new();
    for set in sets {
        let set = set.context("reading back which cores a thread is bound to")?;
        cores.extend((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)));
    }
    cores.sort_unstable();
    cores.dedup();
    Ok(cores)
}

/// Does `work`, which calls upon the current pool again and again, while the pool's other threads
/// look for their parts of it instead of falling asleep in between: waking a thread of a virtual
/// machine takes as long as a small layer. They give way to whoever else wants their cores.
pub fn awake<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if rayon::current_num_threads() == 1 {
        return work();
    }
    let done = &AtomicBool::new(false);
    rayon::scope(|scope| {
        let own = rayon::current_thread_index();
        scope.spawn_broadcast(move |_, thread| {
            // While the caller's own thread waits for a part of the work, it would get this too.
            let keeps = Some(thread.index()) != own;
            while keeps && !done.load(Ordering::Acquire) {
                if rayon::yield_now() != Some(rayon::Yield::Executed) {
                    std::thread::yield_now();
                }
            }
        });
        let _done = SetOnDrop(done);
        work()
    })
}

/// Also when `work` panics, so that nobody waits for its end for ever.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn cpu_set(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    cores.iter().for_each(|cpu| set.set(*cpu));
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_of_a_pool_runs_where_it_was_put() {
        let allowed = sched_getaffinity(None).unwrap();
        let first = (0..CpuSet::MAX_CPU)
            .find(|cpu| allowed.is_set(*cpu))
            .unwrap();
        let pool = pinned_pool(0, &[first, first]).unwrap();
        assert_eq!(pool.current_num_threads(), 2);
        assert_eq!(bound_cores(&pool).unwrap(), [first]);
    }

    #[test]
    fn a_pool_that_is_kept_awake_works_and_sleeps_again() {
        use rayon::prelude::*;
        let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let sums = pool.install(|| {
            awake(|| {
                let sum = |n: u64| (0..n).into_par_iter().sum::<u64>();
                (1..50).map(sum).collect::<Vec<_>>()
            })
        });
        assert!(sums.into_iter().eq((1..50).map(|n| n * (n - 1) / 2)));
        let panic = pool.install(|| std::panic::catch_unwind(|| awake(|| panic!("in the step"))));
        assert!(panic.is_err());
        assert_eq!(pool.install(|| awake(|| 5)), 5, "the pool is still there");
    }
}
