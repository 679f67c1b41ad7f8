//! A worker's connection to one server.

use super::super::super::transport::{self, Segment, Socket};
use super::super::messages::Kind;
use super::super::port::Port;
use super::super::units::{self, Unit};
use crate::protocol::LinkReport;
use crate::spec::settings::Settings;
use crate::terms::{Phase, Transport};
use crate::worker::clock::StepClock;
use crate::worker::parameters::{Memory, Parameters};
use anyhow::{Result, anyhow};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

/// A worker gives lent units back after so many bytes, so that servers can write them again.
const KEPT_BYTES: u64 = 4 << 20;

pub struct Link {
    port: Port,
    report: LinkReport,
}

impl Link {
    /// Takes a socket that was just connected.
    pub fn open(settings: &Settings, socket: Socket, units: Arc<[Unit]>) -> Result<Self> {
        let report = LinkReport {
            peer: socket.peer().to_string(),
            ..LinkReport::default()
        };
        let room = units::room(&units).1;
        let mut port = Port::new(socket, units, settings.encoding);
        if transport::resolve(settings) == Transport::SharedMemory {
            port.share(Arc::new(Segment::create(room)?))?;
        }
        Ok(Self { port, report })
    }

    /// Asks for all units, once the server has done so many updates.
    pub fn ask(&mut self, updates: u64) -> Result<()> {
        self.port.queue(Kind::Pull, 0, updates);
        self.port.flush(Phase::Pull)
    }

    /// Takes all units that were asked for, each into its place in `parameters`. Returns the fewest
    /// and the most updates that the server or a unit has seen.
    pub fn take(
        &mut self,
        parameters: &Parameters,
        clock: &mut StepClock,
    ) -> Result<RangeInclusive<u64>> {
        let answer = self.port.expect(Kind::Answer, Phase::Wait)?;
        let units = self.port.units().clone();
        let mut seen = answer.step..=answer.step;
        let mut kept = 0;
        for (due, unit) in units.iter().enumerate() {
            let head = self.port.expect(Kind::Numbers, Phase::Wait)?;
            clock.book(Phase::Wait);
            if self.port.unit(&head)? != due {
                let error = anyhow!("unit {} where {due} was due", head.unit);
                return Err(self.port.refusal(error));
            }
            seen = match due {
                0 => head.step..=head.step,
                _ => head.step.min(*seen.start())..=head.step.max(*seen.end()),
            };
            let started = Instant::now();
            // SAFETY: nobody else uses the parameters before a forward pass.
            let into = unsafe { parameters.piece_mut(&unit.piece) };
            self.port.receive(due, into, Phase::Pull)?;
            kept += unit.bytes();
            if self.port.in_place() && (kept >= KEPT_BYTES || due + 1 == units.len()) {
                self.port.queue(Kind::Release, due, 0);
                self.port.flush(Phase::Pull)?;
                kept = 0;
            }
            self.report.pull_seconds += started.elapsed().as_secs_f64();
            self.report.pulled_bytes += unit.bytes();
            clock.book(Phase::Pull);
        }
        Ok(seen)
    }

    /// Pushes a unit of a gradient whose parameters had seen `version` updates.
    ///
    /// # Safety
    /// Nobody writes the gradient meanwhile.
    pub unsafe fn push(&mut self, unit: usize, version: u64, gradient: Memory) -> Result<()> {
        let started = Instant::now();
        let Unit { piece, .. } = &self.port.units()[unit];
        // SAFETY: the caller's promise.
        let numbers = unsafe { gradient.slice(piece.elements.clone()) };
        self.port.send(Kind::Push, version, unit, numbers)?;
        self.port.flush(Phase::Push)?;
        self.report.push_seconds += started.elapsed().as_secs_f64();
        self.report.pushed_bytes += self.port.units()[unit].bytes();
        Ok(())
    }

    /// Says that the gradient is whole.
    pub fn end(&mut self, version: u64) -> Result<()> {
        self.port.queue(Kind::End, 0, version);
        self.port.flush(Phase::Push)
    }

    pub fn goodbye(&mut self) -> Result<()> {
        self.port.queue(Kind::Goodbye, 0, 0);
        self.port.flush(Phase::Push)
    }

    pub fn report(&self) -> &LinkReport {
        &self.report
    }
}
