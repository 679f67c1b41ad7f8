//! The cores of one CPU device: a pool of pinned threads in which all of a replica's work runs, so
//! that no thread is shared between replicas.

use anyhow::{Context, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A pool with one thread for each logical CPU in `cores`, pinned to it.
pub fn pinned_pool(replica: usize, cores: &[usize]) -> Result<ThreadPool> {
    let pinned = cores.to_vec();
    ThreadPoolBuilder::new()
        .num_threads(cores.len())
        .thread_name(move |thread| format!("replica-{replica}-{thread}"))
        .start_handler(move |thread| {
            // Evidence reads the kernel's answer back, so a refusal here is not lost.
            let _ = sched_setaffinity(None, &cpu_set(&pinned[thread..=thread]));
        })
        .build()
        .with_context(|| format!("starting {} threads for replica {replica}", cores.len()))
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
}
