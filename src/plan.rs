//! In: an [`Experiment`]. Out: frozen [`Cell`]s and the order in which repeats of them run. Pure: the
//! same file gives the same cells, ids and order on every machine.

mod cell;
mod expand;
mod order;
mod rules;
mod select;
mod twin;
mod write;

pub use cell::{Cell, CellId, Values};
pub use expand::expand;
pub use order::{build_of, order};
pub use rules::{NO_FUSED_ON_CPU, no_convolution};

use crate::spec::{self, Experiment, SpecErrors};
use std::path::Path;

/// The cells of an experiment, before anything is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of the file: the product with its last axis fastest, then the cases, then the
    /// A/A twin if there is one.
    pub cells: Vec<Cell>,
    /// Combinations that differ from an earlier cell only in settings that do not apply to them.
    pub merged: usize,
    /// Combinations that an `[[exclude]]` dropped.
    pub excluded: usize,
    pub seed: u64,
    /// How many builds of each flavour blocks take turns with.
    pub builds: u32,
}

impl Plan {
    /// The places in `cells` in the order of one block; blocks are counted from 1.
    pub fn block(&self, block: u32) -> Vec<usize> {
        order(self.cells.len(), block, self.seed)
    }

    /// The order of every block, first to last: one repeat of every cell in each.
    pub fn blocks(&self, repeats: u32) -> impl Iterator<Item = Vec<usize>> {
        (1..=repeats).map(|block| self.block(block))
    }
}

/// Reads an experiment with its layers, as [`spec::load`] does, and expands it.
///
/// # Errors
///
/// Every problem of the file and of its cells at once; those of cells are left out where other
/// problems leave open which cells are meant.
pub fn read(
    path: &Path,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[String],
) -> Result<(Experiment, Plan), SpecErrors> {
    match spec::load(path, environment, flags) {
        Ok(experiment) => {
            let plan = expand(&experiment)?;
            Ok((experiment, plan))
        }
        Err(mut errors) => {
            let later = errors
                .take_partial()
                .and_then(|partial| expand(&partial).err());
            if let Some(later) = later {
                errors.extend(later);
            }
            Err(errors)
        }
    }
}
