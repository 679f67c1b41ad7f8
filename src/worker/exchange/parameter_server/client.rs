//! The worker's side of parameter servers. In: gradients where they lie. Out: parameters where they are
//! used. Everything happens on the thread that trains; servers work meanwhile.

mod link;

use super::super::transport::{self, Peer, Token};
use super::super::{Exchange, UpdatedBy};
use super::units::{self, Unit};
use crate::protocol::{Job, LinkReport};
use crate::terms::{Phase, RoleName, Update};
use crate::worker::clock::StepClock;
use crate::worker::parameters::{Memory, Parameters};
use anyhow::{Result, ensure};
use link::Link;
use std::sync::Arc;

/// A worker's connections to all servers.
pub struct Client {
    links: Vec<Link>,
    /// Where the parts of each variable go, in name order: servers and their units.
    routes: Vec<Vec<(usize, usize)>>,
    /// The variables whose gradients of this step have left.
    pushed: Vec<bool>,
    synchronous: bool,
    /// Updates that the parameters here have seen.
    version: u64,
    /// Updates that the next pull waits for.
    wanted: u64,
}

impl Client {
    /// Calls all servers, whose addresses are in `servers` by rank.
    pub fn connect(job: &Job, servers: &[String], parameters: &Parameters) -> Result<Self> {
        let settings = &job.settings;
        let variables = parameters.variables();
        ensure!(
            !variables.is_empty(),
            "a model without parameters needs no servers"
        );
        let units = units::of_servers(settings, variables);
        ensure!(
            servers.len() == units.len(),
            "{} addresses came for {} servers",
            servers.len(),
            units.len()
        );
        let mut routes = vec![Vec::new(); variables.len()];
        for (server, units) in units.iter().enumerate() {
            for (unit, Unit { piece, .. }) in units.iter().enumerate() {
                routes[piece.variable].push((server, unit));
            }
        }
        let token = Token::parse(&job.token)?;
        let me = Peer {
            role: RoleName::Worker,
            rank: job.rank,
        };
        let call = |(rank, (address, units)): (usize, (&String, Arc<[Unit]>))| {
            let peer = Peer {
                role: RoleName::Server,
                rank,
            };
            let silence = transport::silence(settings);
            let socket = transport::connect(address, &token, (me, peer), silence)?;
            Link::open(settings, socket, units)
        };
        let links = servers.iter().zip(units).enumerate().map(call);
        Ok(Self {
            links: links.collect::<Result<_>>()?,
            routes,
            pushed: vec![false; variables.len()],
            synchronous: settings.update == Update::Sync,
            version: 0,
            wanted: 0,
        })
    }

    /// Brings all parameters here. Those of a synchronous step have all seen the same updates: where
    /// some server was ahead, they are pulled again, once all servers are there.
    fn pull(&mut self, parameters: &Parameters, clock: &mut StepClock) -> Result<()> {
        loop {
            for link in &mut self.links {
                link.ask(self.wanted)?;
            }
            let mut seen = Vec::with_capacity(self.links.len());
            for link in &mut self.links {
                seen.push(link.take(parameters, clock)?);
            }
            if !self.synchronous {
                self.version = *seen[0].start();
                return Ok(());
            }
            let least = seen.iter().map(|seen| *seen.start()).min();
            let most = seen.iter().map(|seen| *seen.end()).max();
            self.version = most.unwrap_or_default();
            if least == most {
                return Ok(());
            }
            self.wanted = self.version;
        }
    }

    /// Pushes the gradient of one variable to the servers that have it.
    ///
    /// # Safety
    /// Nobody writes the gradient meanwhile.
    unsafe fn push(&mut self, variable: usize, gradient: Memory) -> Result<()> {
        for (server, unit) in &self.routes[variable] {
            // SAFETY: the caller's promise.
            unsafe { self.links[*server].push(*unit, self.version, gradient)? };
        }
        self.pushed[variable] = true;
        Ok(())
    }
}

impl Exchange for Client {
    fn begin(&mut self, parameters: &Parameters, clock: &mut StepClock) -> Result<()> {
        self.pull(parameters, clock)
    }

    unsafe fn offer(
        &mut self,
        variable: usize,
        gradient: Memory,
        clock: &mut StepClock,
    ) -> Result<()> {
        // SAFETY: the caller's promise, longer than needed.
        unsafe { self.push(variable, gradient)? };
        clock.book(Phase::Push);
        Ok(())
    }

    unsafe fn exchange(&mut self, gradients: &[Memory], clock: &mut StepClock) -> Result<()> {
        for (variable, gradient) in gradients.iter().enumerate() {
            if !self.pushed[variable] {
                // SAFETY: the caller's promise.
                unsafe { self.push(variable, *gradient)? };
            }
        }
        for link in &mut self.links {
            link.end(self.version)?;
        }
        self.pushed.fill(false);
        if self.synchronous {
            self.wanted = self.version + 1;
        }
        clock.book(Phase::Push);
        Ok(())
    }

    fn finish(&mut self, parameters: &Parameters) -> Result<()> {
        self.pull(parameters, &mut StepClock::start())?;
        self.links.iter_mut().try_for_each(Link::goodbye)
    }

    fn updated_by(&self) -> UpdatedBy {
        UpdatedBy::Servers
    }

    fn global_step(&self) -> Option<u64> {
        Some(self.version)
    }

    fn links(&self) -> Vec<LinkReport> {
        self.links
            .iter()
            .map(|link| link.report().clone())
            .collect()
    }
}
