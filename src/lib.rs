//! xrun runs training experiments that one TOML file declares, and says why they scale or not.

pub mod stats;
pub mod terms;
pub mod units;

pub mod flavour;
pub mod launch;
pub mod machine;
pub mod plan;
pub mod protocol;
pub mod spec;

pub mod worker;

pub mod table;

pub mod analysis;
pub mod chart;

pub mod cli;
pub mod commands;
