//! In: the `samples.csv` beside a table of repeats. Out: seconds of a step in each window of each repeat.
//! Only the newest run is kept.

use crate::table::{TableError, visit_samples};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Windows of one run by cell and repeat, each in the order of its steps.
#[derive(Clone, Debug, Default)]
pub struct Windows(HashMap<(String, u32), BTreeMap<u64, f64>>);

impl Windows {
    /// Reads those of `run`; nothing where there is no such file.
    ///
    /// # Errors
    /// The file is no table of samples.
    pub fn read(path: &Path, run: u32) -> Result<Windows, TableError> {
        let mut windows = Windows::default();
        if !path.is_file() {
            return Ok(windows);
        }
        visit_samples(path, |sample| {
            if sample.run != run || sample.window.steps == 0 {
                return;
            }
            let key = (sample.cell.to_string(), sample.repeat);
            let of_repeat = windows.0.entry(key).or_default();
            // A step takes as long as its slowest replica.
            let slowest = of_repeat.entry(sample.window.first_step).or_default();
            let seconds = sample.window.seconds / sample.window.steps as f64;
            *slowest = slowest.max(seconds);
        })?;
        Ok(windows)
    }

    /// Of one repeat; empty where they are not known.
    pub fn of(&self, cell: &str, repeat: u32) -> Vec<f64> {
        let known = self.0.get(&(cell.to_owned(), repeat));
        known.map_or_else(Vec::new, |windows| windows.values().copied().collect())
    }
}
