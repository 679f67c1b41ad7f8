//! Sums over GPUs by NVIDIA's library NCCL. In: gradients of one rank, on its GPU. Out: their sums over
//! all ranks, in the same memory; the work is on the GPU's main queue, and the host waits for nothing.
//! The one place that knows whether this program was built with the feature `nccl`.
//!
//! One rank is one GPU: NCCL refuses two ranks that share one. Ranks find each other by an [`Id`] that one
//! of them makes; all of them join at the same time.

#[cfg(not(feature = "nccl"))]
mod absent;
#[cfg(feature = "nccl")]
mod present;

#[cfg(not(feature = "nccl"))]
pub use absent::{Id, Rank};
#[cfg(feature = "nccl")]
pub use present::{Id, Rank};

use super::Gpu;

/// Whether this program has NCCL.
pub const BUILT_IN: bool = cfg!(feature = "nccl");

/// Why this program does not use it.
pub const NOT_BUILT_IN: &str = "this program was built without the feature `nccl`";

/// Whether each of these GPUs is another one, as NCCL wants its ranks.
pub fn distinct(gpus: &[Gpu]) -> bool {
    let other = |(at, gpu): (usize, &Gpu)| gpus[..at].iter().all(|g| g.uuid() != gpu.uuid());
    gpus.iter().enumerate().all(other)
}

/// What crosses a link of a ring of so many ranks when they sum so many bytes: `2 (R − 1) / R` of them
/// (Patarasuk, Yuan 2009). NCCL does not tell what it moves; a ring is what it takes for large sums.
pub fn ring_bytes(ranks: usize, bytes: u64) -> u64 {
    2 * (ranks as u64 - 1) * bytes / ranks as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_moves_less_than_twice_what_it_sums() {
        assert_eq!(ring_bytes(1, 1000), 0);
        assert_eq!(ring_bytes(2, 1000), 1000);
        assert_eq!(ring_bytes(8, 1000), 1750);
    }
}
