//! How many steps a loop has. In: settings. Out: a [`Pace`].

use crate::spec::settings::Settings;
use crate::terms::{Topology, Update};

/// When warm-up ends and when the loop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub warmup_steps: u64,
    /// Measured steps; `u64::MAX` where only the global step ends the loop.
    pub steps: u64,
    /// The global step at which no step begins any more.
    pub stop_at: Option<u64>,
    /// Count warm-up by the global step: where workers of one step may fall behind it.
    pub global: bool,
}

impl Pace {
    pub fn of(settings: &Settings) -> Self {
        // Where gradients may be dropped, a worker may have fewer steps of its own than others.
        let dropping = settings.topology == Topology::ParameterServer
            && settings.update == Update::Sync
            && settings.backup_workers > 0;
        let all = settings.warmup_steps + settings.steps;
        let stop_at = settings.stop_at_global_step;
        Self {
            warmup_steps: settings.warmup_steps,
            steps: match stop_at.is_some() || dropping {
                true => u64::MAX,
                false => settings.steps,
            },
            stop_at: stop_at.or(dropping.then_some(all)),
            global: dropping,
        }
    }
}
