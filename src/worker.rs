//! A process that trains. In: a [`Job`](crate::protocol::Job) on stdin. Out: events on stdout.
//! Knows no TOML, no sweep and no other cell; it never schedules.

pub mod clock;
pub mod input;
pub mod layer;
pub mod model;
pub mod optimizer;
