//! Parameters that live on servers: workers pull them before each step and push gradients while the
//! backward pass goes on; servers update.
//!
//! Both sides derive from the settings which server has which part of which variable ([`shards`]) and
//! what is sent at a time (`units`). A `port` moves the numbers of a unit from one process to the
//! other, whatever the transport and encoding. `client` is the worker's side, [`server`] the other.

mod client;
mod encoding;
mod messages;
mod numbers;
mod port;
pub mod server;
pub mod shards;
mod units;

use super::Exchange;
use crate::protocol::Job;
use crate::worker::parameters::Parameters;
use anyhow::Result;

/// Connects a worker to all servers, whose addresses are in `servers` by rank.
///
/// # Errors
/// Where one cannot be reached, or the model has no parameters.
pub fn connect(
    job: &Job,
    servers: &[String],
    parameters: &Parameters,
) -> Result<Box<dyn Exchange>> {
    Ok(Box::new(client::Client::connect(job, servers, parameters)?))
}

#[cfg(test)]
mod tests;
