//! How long repeats will take, as far as earlier rows of a folder tell.

use crate::stats;
use crate::table::RepeatRow;
use crate::units::Seconds;
use std::collections::HashMap;
use std::fmt;

/// The time of some repeats, from the median duration of their cells' earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    seconds: f64,
    /// Repeats that the seconds cover.
    known: usize,
    /// Repeats of cells without an earlier row.
    unknown: usize,
}

impl Estimate {
    /// `repeats` names the cell of each repeat; `rows` may be of any run on this machine.
    pub fn of<'a>(repeats: impl Iterator<Item = &'a str>, rows: &[RepeatRow]) -> Self {
        let mut earlier: HashMap<&str, Vec<f64>> = HashMap::new();
        for row in rows {
            if let Some(measured) = &row.measured {
                earlier
                    .entry(&row.key.cell)
                    .or_default()
                    .push(measured.repeat_seconds);
            }
        }
        let medians: HashMap<_, _> = earlier
            .into_iter()
            .filter_map(|(cell, seconds)| Some((cell, stats::median(&seconds)?)))
            .collect();
        let mut estimate = Self::default();
        for cell in repeats {
            match medians.get(cell) {
                Some(seconds) => {
                    estimate.seconds += seconds;
                    estimate.known += 1;
                }
                None => estimate.unknown += 1,
            }
        }
        estimate
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Seconds(self.seconds);
        match (self.known, self.unknown) {
            (0, 0) => write!(f, "none"),
            (_, 0) => write!(f, "about {time}, by earlier repeats on this machine"),
            (0, _) => write!(
                f,
                "unknown until the first block: no repeat on this machine yet"
            ),
            (_, unknown) => {
                write!(
                    f,
                    "about {time}, and {unknown} repeats of cells that never ran on this machine"
                )
            }
        }
    }
}
