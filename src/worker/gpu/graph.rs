//! Work that is put on a queue once and done many times.

use super::queue::Queue;
use candle_core::cuda_backend::{WrapErr, cudarc};
use candle_core::{Error, Result};
use cudarc::driver::{CudaGraph, sys};
use std::fmt;

/// Work that was captured from a queue: what it was, with the addresses that it had.
pub struct Graph {
    graph: CudaGraph,
    queue: Queue,
    nodes: u64,
    launches: u64,
}

// SAFETY: CUDA's graphs may be used from any thread, by one at a time: it has no `Sync`.
unsafe impl Send for Graph {}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph of {} nodes", self.nodes)
    }
}

impl Graph {
    /// Puts all of it on the queue that it came from.
    pub fn launch(&self) -> Result<()> {
        self.queue.count(self.launches);
        self.graph.launch().w()
    }

    /// Kernels, copies and events in it, as CUDA counts them.
    pub fn nodes(&self) -> u64 {
        self.nodes
    }
}

/// Captures what `work` puts on `queue`, as seen by this thread.
pub fn capture<R, E: From<Error>>(
    queue: &Queue,
    work: impl FnOnce() -> std::result::Result<R, E>,
) -> std::result::Result<(R, Graph), E> {
    let stream = queue.stream();
    let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
    let before = queue.launches();
    stream.begin_capture(mode).w()?;
    let done = work();
    let launches = queue.launches() - before;
    queue.uncount(launches);
    // Ends the capture also where `work` has failed, whose error then says more.
    let graph = stream.end_capture(sys::CUgraphInstantiate_flags(0));
    let done = done?;
    let Some(graph) = graph.w()? else {
        return Err(Error::Msg("CUDA captured nothing".into()).into());
    };
    graph.upload().w()?;
    let nodes = count_nodes(&graph)?;
    let queue = queue.clone();
    let graph = Graph {
        graph,
        queue,
        nodes,
        launches,
    };
    Ok((done, graph))
}

fn count_nodes(graph: &CudaGraph) -> Result<u64> {
    let mut count = 0;
    // SAFETY: without a place for nodes CUDA writes their number alone.
    unsafe { sys::cuGraphGetNodes(graph.cu_graph(), std::ptr::null_mut(), &mut count) }
        .result()
        .w()?;
    Ok(count as u64)
}
