//! What a person can ask for: each command is a recipe over the modules below.

pub mod plan;
