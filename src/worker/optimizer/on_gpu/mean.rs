//! Means of the gradients of several replicas on one GPU, which reads the memory of the others. In: where
//! the gradients are. Out: work on the main queue. Knows nothing of how replicas wait for each other.

use super::table::{Blocks, Table};
use crate::worker::gpu::{Arg, Gpu, Span};
use candle_core::Result;

/// Tables for means of the gradients of some variables over some replicas.
#[derive(Debug)]
pub struct GpuMean {
    gpu: Gpu,
    lengths: Vec<usize>,
    replicas: usize,
    blocks: Blocks,
    /// `MeanPart` of each variable.
    results: Table,
    /// Those of each variable, in the order of replicas.
    sources: Table,
}

impl GpuMean {
    /// For variables of these lengths.
    pub fn new(gpu: &Gpu, lengths: &[usize], replicas: usize) -> Result<Self> {
        Ok(Self {
            gpu: gpu.clone(),
            lengths: lengths.to_vec(),
            replicas,
            blocks: Blocks::new(gpu, lengths)?,
            results: Table::new(gpu, 2 * lengths.len())?,
            sources: Table::new(gpu, replicas * lengths.len())?,
        })
    }

    /// Overwrites each of `results` with `scale` times the sum of its variable's gradients, added in the
    /// order of replicas. `gradients` has those of all variables for each replica. What is captured lies
    /// where it did in the call before. Panics where numbers or lengths are not those of `new`.
    pub fn take(
        &mut self,
        gradients: &[Vec<Span<f32>>],
        results: &[Span<f32>],
        scale: f32,
    ) -> Result<()> {
        assert_eq!(gradients.len(), self.replicas, "another number of replicas");
        gradients.iter().for_each(|of_one| self.check(of_one));
        self.check(results);
        let lines = results
            .iter()
            .map(|span| [span.address(), span.len() as u64]);
        let results = self.results.set(&lines.flatten().collect::<Vec<_>>())?;
        let variables = 0..self.lengths.len();
        let sources = variables.flat_map(|at| gradients.iter().map(move |all| all[at].address()));
        let sources = self.sources.set(&sources.collect::<Vec<_>>())?;
        let Some(launch) = self.blocks.launch() else {
            return Ok(());
        };
        let args = [
            results.into(),
            sources.into(),
            self.blocks.span().into(),
            Arg::size(self.replicas),
            Arg::F32(scale),
        ];
        self.gpu.launch::<f32>("mean_of", launch, &args)
    }

    fn check(&self, spans: &[Span<f32>]) {
        let lengths = spans.iter().map(|span| span.len());
        assert!(lengths.eq(self.lengths.iter().copied()), "other variables");
    }
}
