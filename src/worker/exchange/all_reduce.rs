//! Gradients averaged over all workers of a cell, in a ring.

use super::Exchange;
use super::transport::Listener;
use crate::protocol::Job;
use crate::worker::parameters::Parameters;
use anyhow::{Result, bail};

/// Joins the ring: calls the next worker, and is called by the one before.
pub fn connect(
    _job: &Job,
    _listener: &Listener,
    _peers: &[String],
    _parameters: &Parameters,
) -> Result<Box<dyn Exchange>> {
    bail!("all-reduce is not built into this version")
}
