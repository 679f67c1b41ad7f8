//! In: rows of one result folder and the [`Story`] of its experiment. Out: one summary a cell, series
//! over replicas, and sentences that say why. Pure functions; knows neither files nor charts.

mod absent;
pub mod bottleneck;
pub mod cluster;
pub mod companions;
pub mod estimate;
pub mod noise;
pub mod phase_table;
pub mod scaling;
pub mod speedup;
pub mod story;
pub mod summary;
pub mod summary_rows;
pub mod verdict;
pub mod wording;

#[cfg(test)]
pub(crate) mod sample_cluster;
#[cfg(test)]
pub(crate) mod sample_flavours;
#[cfg(test)]
pub(crate) mod sample_rows;

pub use absent::{absent, by_reason};
pub use bottleneck::{Cause, Explanation, Finding, Part, explain};
pub use estimate::Estimate;
pub use scaling::{Convention, MixedConventions, Series, View, arrange};
pub use speedup::{Speedup, speedup};
pub use story::{AxisStory, ChartStory, ComparisonStory, Story, name_as_planned};
pub use summary::{CellSummary, Figures, Repeat, Summary};
pub use summary_rows::{SummaryRow, summary_rows};
