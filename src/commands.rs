//! What `xrun` can be asked to do, one recipe a file.

pub mod plot;
pub mod report;
