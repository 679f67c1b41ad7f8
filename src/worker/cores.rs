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
            let _ = bind(&pinned[thread..=thread]);
        })
        .build()
        .with_context(|| format!("starting {} threads for replica {replica}", cores.len()))
}

/// A pool like that of a replica whose first thread is the calling one, so that with one core no work
/// changes threads. It stays a member of the pool for as long as it lives.
pub fn join_pinned_pool(name: &str, cores: &[usize]) -> Result<ThreadPool> {
    let (pinned, name) = (cores.to_vec(), name.to_owned());
    let pin = move |thread: usize| {
        // As above.
        let _ = bind(&pinned[thread..=thread]);
    };
    pin(0);
    ThreadPoolBuilder::new()
        .num_threads(cores.len())
        .thread_name(move |thread| format!("{name}-{thread}"))
        .use_current_thread()
        .start_handler(pin)
        .build()
        .with_context(|| format!("starting {} threads of a server", cores.len()))
}

/// Keeps the calling thread on `cores`, together with whoever else has them.
pub fn bind(cores: &[usize]) -> Result<()> {
    sched_setaffinity(None, &cpu_set(cores))
        .with_context(|| format!("binding a thread to cores {cores:?}"))
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
    fn a_thread_joins_a_pool_of_its_own() {
        let allowed = sched_getaffinity(None).unwrap();
        let first = (0..CpuSet::MAX_CPU)
            .find(|cpu| allowed.is_set(*cpu))
            .unwrap();
        let join = move || {
            let pool = join_pinned_pool("server", &[first, first]).unwrap();
            let cores = bound_cores(&pool).unwrap();
            (
                cores,
                rayon::current_num_threads(),
                rayon::current_thread_index(),
            )
        };
        let joined = std::thread::spawn(join).join().unwrap();
        assert_eq!(joined, (vec![first], 2, Some(0)));
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
