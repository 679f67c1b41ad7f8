//! The server's side of one worker. In: its messages, in order. Out: parameters, and what was done for
//! it. All numbers are in the [`Store`].

use super::super::super::transport::frame::Head;
use super::super::messages::Kind;
use super::super::numbers::Numbers;
use super::super::port::Port;
use super::super::units;
use super::store::{Reading, Store, Waiting};
use crate::protocol::{STALENESS_PLACES, ServerReport};
use crate::terms::Phase;
use crate::worker::events;
use anyhow::{Result, anyhow};
use std::collections::VecDeque;
use std::time::Instant;

/// A server lends further units to a reader while it has less than so many bytes: enough that no
/// reader waits for the next one, few enough that writers need not wait for a whole model of blocks.
const LENT_BYTES: u64 = 16 << 20;

/// A worker's connection to this server.
pub struct Connection<'s> {
    store: &'s Store,
    port: Port,
    rank: usize,
    /// Where gradients lie: the worker writes them there, or they are received.
    gradients: Numbers,
    /// Updates when the worker last pulled; none before it does, and after a gradient.
    pulled_at: Option<u64>,
    ever_pulled: bool,
    /// Updates that there have to be before the numbers of the last gradient are no longer in use.
    used_by: u64,
    gradient: Gradient,
    tally: Tally,
}

/// What has come of the present gradient.
#[derive(Default)]
struct Gradient {
    /// Whether the update that it belongs to takes it; unknown before its first unit.
    admitted: Option<bool>,
    /// The units that have come.
    come: Vec<bool>,
}

/// What was done for one worker.
#[derive(Debug, Default)]
pub struct Tally {
    pub cores: Vec<usize>,
    gradients: u64,
    dropped: u64,
    staleness: [u64; STALENESS_PLACES],
    received_bytes: u64,
    sent_bytes: u64,
    receive_seconds: f64,
    apply_seconds: f64,
    send_seconds: f64,
}

impl Tally {
    pub fn add_to(&self, report: &mut ServerReport) {
        report.gradients += self.gradients;
        report.dropped += self.dropped;
        for (sum, count) in report.staleness.iter_mut().zip(self.staleness) {
            *sum += count;
        }
        report.received_bytes += self.received_bytes;
        report.sent_bytes += self.sent_bytes;
        report.receive_seconds += self.receive_seconds;
        report.apply_seconds += self.apply_seconds;
        report.send_seconds += self.send_seconds;
    }
}

impl<'s> Connection<'s> {
    pub fn new(store: &'s Store, port: Port, rank: usize) -> Self {
        let own = || Numbers::own(units::room(port.units()).0);
        let gradients = port.incoming().cloned().unwrap_or_else(own);
        let come = vec![false; port.units().len()];
        Self {
            store,
            port,
            rank,
            gradients,
            pulled_at: None,
            ever_pulled: false,
            used_by: 0,
            gradient: Gradient {
                admitted: None,
                come,
            },
            tally: Tally::default(),
        }
    }

    /// Does what the worker asks for until it says goodbye.
    pub fn serve(mut self) -> Result<Tally> {
        loop {
            self.port.idle()?;
            let phase = match self.pulled_at {
                Some(_) => Phase::Push,
                None => Phase::Wait,
            };
            let (kind, head) = self.port.head(phase)?;
            match kind {
                Kind::Pull => self.answer(head.step)?,
                Kind::Push => self.take_unit(&head)?,
                Kind::End => self.end_gradient(&head)?,
                Kind::Goodbye if !self.gradient.begun() => return Ok(self.tally),
                _ => return Err(self.port.refusal(anyhow!("{kind:?} out of turn"))),
            }
        }
    }

    /// Answers a pull once there were so many updates.
    fn answer(&mut self, wanted: u64) -> Result<()> {
        if self.gradient.begun() {
            return Err(self.port.refusal(anyhow!("a pull within a gradient")));
        }
        let updates = self.store.progress.wait_for(wanted.max(self.used_by))?;
        if !self.ever_pulled {
            self.ever_pulled = true;
            self.store.progress.first_pull();
        }
        self.pulled_at = Some(updates);
        let started = Instant::now();
        self.port.queue(Kind::Answer, 0, updates);
        match self.port.in_place() {
            true => self.lend()?,
            false => self.send()?,
        }
        self.tally.send_seconds += started.elapsed().as_secs_f64();
        let bytes = self.port.units().iter().map(|unit| unit.bytes());
        self.tally.sent_bytes += bytes.sum::<u64>();
        Ok(())
    }

    /// Lets the worker copy units from where they lie, which nobody writes until it has.
    fn lend(&mut self) -> Result<()> {
        let count = self.port.units().len();
        let mut lent: VecDeque<Reading> = VecDeque::new();
        let (mut bytes, mut next) = (0, 0);
        while next < count || !lent.is_empty() {
            while next < count && bytes < LENT_BYTES {
                let reading = self.read(next)?;
                self.port.queue(Kind::Numbers, next, reading.updates());
                bytes += self.port.units()[next].bytes();
                lent.push_back(reading);
                next += 1;
            }
            self.port.flush(Phase::Pull)?;
            let head = self.port.expect(Kind::Release, Phase::Pull)?;
            let first = next - lent.len();
            let copied = (head.unit as usize + 1).checked_sub(first);
            match copied.filter(|copied| (1..=lent.len()).contains(copied)) {
                Some(copied) => {
                    let units = &self.port.units()[first..first + copied];
                    bytes -= units.iter().map(|unit| unit.bytes()).sum::<u64>();
                    lent.drain(..copied);
                }
                None => return Err(self.port.refusal(anyhow!("{} is not lent", head.unit))),
            }
        }
        self.port.flush(Phase::Pull)
    }

    /// A unit to read. What is queued leaves before a wait for whoever writes it.
    fn read(&mut self, unit: usize) -> Result<Reading<'s>> {
        if let Some(reading) = self.store.try_read(unit) {
            return Ok(reading);
        }
        self.port.flush(Phase::Pull)?;
        Ok(self.store.read(unit))
    }

    /// Sends all units.
    fn send(&mut self) -> Result<()> {
        for unit in 0..self.port.units().len() {
            let reading = self.read(unit)?;
            let updates = reading.updates();
            self.port
                .send(Kind::Numbers, updates, unit, reading.weights())?;
            self.port.flush(Phase::Pull)?;
        }
        self.port.flush(Phase::Pull)
    }

    /// Takes a unit of a gradient, and uses it unless the gradient is too late.
    fn take_unit(&mut self, head: &Head) -> Result<()> {
        let unit = self.port.unit(head)?;
        if self.pulled_at.is_none() || self.gradient.come[unit] {
            return Err(self.port.refusal(anyhow!("unit {unit} came out of turn")));
        }
        self.gradient.come[unit] = true;
        let elements = self.port.units()[unit].place.clone();
        if !self.port.in_place() {
            let started = Instant::now();
            // SAFETY: the gradient before was used before the pull after it was answered.
            let into = unsafe { self.gradients.memory().slice_mut(elements.clone()) };
            self.port.receive(unit, into, Phase::Push)?;
            self.tally.receive_seconds += started.elapsed().as_secs_f64();
        }
        self.tally.received_bytes += self.port.units()[unit].bytes();
        if self.admits(head.step)? {
            let gradient = Waiting {
                rank: self.rank,
                numbers: self.gradients.clone(),
                elements,
            };
            // SAFETY: these numbers are written again after the worker's next pull was answered, which
            // waits for the update that they belong to.
            self.tally.apply_seconds += unsafe { self.store.add(unit, gradient) };
        }
        Ok(())
    }

    /// Whether the present gradient, whose parameters had seen so many updates, is used.
    fn admits(&mut self, round: u64) -> Result<bool> {
        if let Some(admitted) = self.gradient.admitted {
            return Ok(admitted);
        }
        let admitted = self.store.progress.admit(round)?;
        self.gradient.admitted = Some(admitted);
        if admitted && self.store.progress.needed().is_some() {
            self.used_by = round + 1;
        }
        Ok(admitted)
    }

    fn end_gradient(&mut self, head: &Head) -> Result<()> {
        let whole = !self.gradient.come.contains(&false);
        let Some(pulled_at) = self.pulled_at.take().filter(|_| whole) else {
            return Err(self.port.refusal(anyhow!("a gradient that is not whole")));
        };
        self.tally.gradients += 1;
        if self.admits(head.step)? {
            let since = match self.store.progress.needed() {
                Some(_) => 0,
                None => self.store.progress.used() - pulled_at,
            };
            let place = (since as usize).min(STALENESS_PLACES - 1);
            self.tally.staleness[place] += 1;
        } else {
            self.tally.dropped += 1;
        }
        self.gradient.reset();
        events::note_steps(self.store.progress.totals().0);
        Ok(())
    }
}

impl Gradient {
    fn begun(&self) -> bool {
        self.come.contains(&true)
    }

    fn reset(&mut self) {
        self.admitted = None;
        self.come.fill(false);
    }
}
