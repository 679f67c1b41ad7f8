//! In: rows of one result folder and the [`Story`] of its experiment. Out: one summary a cell, series
//! over replicas, and sentences that say why. Pure functions; knows neither files nor charts.

pub mod bottleneck;
mod companions;
pub mod scaling;
pub mod speedup;
pub mod story;
pub mod summary;
pub mod wording;

#[cfg(test)]
pub(crate) mod sample_rows;

pub use bottleneck::{Cause, Explanation, Verdict, explain};
pub use scaling::{Convention, MixedConventions, Series, View, arrange};
pub use speedup::{Speedup, speedup};
pub use story::{AxisStory, ChartStory, Story};
pub use summary::{CellSummary, Figures, Summary};
