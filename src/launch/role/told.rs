//! What one process has told of its work. In: events. Out: the same, or why it may not say that. No
//! honest process tells more, and no other may fill the harness's memory.

use crate::launch::asked::Asked;
use crate::launch::cast::Part;
use crate::protocol::{Ceiling, Event, LinkReport, ReplicaReport, StepWindow};
use crate::spec::settings::Settings;
use crate::terms::RoleName;

/// So much of a name that is nobody's is quoted.
const QUOTED_CHARS: usize = 40;
/// No probe measures more things.
const CEILINGS_AT_MOST: usize = 32;

/// Everything before the last event.
#[derive(Debug)]
pub struct Told {
    role: RoleName,
    replicas_asked: usize,
    windows_at_most: usize,
    /// Names of processes that it has a link to.
    peers: Vec<String>,
    /// Steps done, warm-up included.
    pub steps: u64,
    pub windows: Vec<StepWindow>,
    pub replicas: Vec<ReplicaReport>,
    pub links: Vec<LinkReport>,
    pub ceilings: Vec<Ceiling>,
}

impl Told {
    pub fn nothing(settings: &Settings, part: &Part) -> Self {
        let replicas = match part.name.role {
            RoleName::Worker => part.devices.len(),
            RoleName::Server | RoleName::Probe => 0,
        };
        Self {
            role: part.name.role,
            replicas_asked: replicas,
            windows_at_most: replicas.saturating_mul(Asked::of(settings).most() as usize),
            peers: part.peers.iter().map(ToString::to_string).collect(),
            steps: 0,
            windows: Vec::new(),
            replicas: Vec::new(),
            links: Vec::new(),
            ceilings: Vec::new(),
        }
    }

    /// Takes an event between the start and the last word.
    ///
    /// # Errors
    /// Why it is not for this process to say.
    pub fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Progress { steps } => self.steps = steps,
            Event::Step(StepWindow { replica, .. })
            | Event::Replica(ReplicaReport { replica, .. })
                if replica >= self.replicas_asked =>
            {
                return Err(format!("told of replica {replica}, which it does not have"));
            }
            Event::Step(window) => self.windows.push(window),
            Event::Replica(report) => self.replicas.push(report),
            Event::Link(link) => self.link(link)?,
            Event::Ceiling(ceiling) if self.role == RoleName::Probe => self.ceilings.push(ceiling),
            _ => return Err(format!("sent an event that no {} sends", self.role)),
        }
        let surplus = self.windows.len() > self.windows_at_most
            || self.replicas.len() > self.replicas_asked
            || self.ceilings.len() > CEILINGS_AT_MOST;
        match surplus {
            true => Err("sent more steps or replicas than it was asked for".to_owned()),
            false => Ok(()),
        }
    }

    fn link(&mut self, link: LinkReport) -> Result<(), String> {
        let quoted = || -> String {
            let escaped = link.peer.escape_debug();
            escaped.take(QUOTED_CHARS).collect()
        };
        if self.role != RoleName::Worker || !self.peers.contains(&link.peer) {
            return Err(format!(
                "told of a link to `{}`, which it does not have",
                quoted()
            ));
        }
        if self.links.iter().any(|known| known.peer == link.peer) {
            return Err(format!("told twice of its link to {}", quoted()));
        }
        self.links.push(link);
        Ok(())
    }
}
