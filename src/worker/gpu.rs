//! NVIDIA GPUs. In: the number of a device, kernels by name, addresses in its memory. Out: work on its
//! queues, and what the host may know of it. The one place that knows whether this program was built with
//! the feature `cuda`; it knows no layers, no models and no clocks.
//!
//! Without the feature all types are there and no value of [`Gpu`] exists, so that callers compile in both
//! builds and none of their code for GPUs stays in the program.
//!
//! Work is put on a [`Queue`], a CUDA stream, and done later, in order. A [`Gpu`] has a main queue, the
//! one that candle's tensors of its device use; memory of tensors that end is given back in the order of
//! that queue. Whoever uses memory on another queue orders the two by [`Event`]s.

mod advice;
mod memory;
pub mod nccl;

pub mod cudnn;

#[cfg(not(feature = "cuda"))]
mod absent;
#[cfg(feature = "cuda")]
mod blas;
#[cfg(feature = "cuda")]
mod compile;
#[cfg(feature = "cuda")]
mod graph;
#[cfg(feature = "cuda")]
mod peer;
#[cfg(feature = "cuda")]
mod present;
#[cfg(feature = "cuda")]
mod queue;
#[cfg(feature = "cuda")]
mod tensor;

#[cfg(not(feature = "cuda"))]
pub use absent::{Buffer, Event, Gpu, Graph, Pinned, Queue};
#[cfg(feature = "cuda")]
pub use {
    graph::Graph,
    present::Gpu,
    queue::{Buffer, Event, Pinned, Queue},
};

pub use advice::advised;
pub use memory::{Arg, Backward, Gemm, Launch, Numbers, Span, View};

use std::path::PathBuf;

/// How a GPU is used.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether products of matrices and convolutions may round f32 to TF32 (10 bits of fraction).
    pub tf32: bool,
    /// Where compiled kernels are kept between processes; none: nowhere.
    pub cache: Option<PathBuf>,
}

/// Why this program uses no GPU.
pub const NOT_BUILT_IN: &str = "this program was built without the feature `cuda`";
