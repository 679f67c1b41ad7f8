//! How many measured steps a worker is asked for. In: settings. Out: [`Asked`]. Mirrors what an honest
//! step loop does, so that the harness can bound and judge what a worker claims.

use crate::spec::settings::Settings;
use crate::terms::{Topology, Update};

/// Measured steps of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Exactly(u64),
    /// The global step ends the loop, and workers share it as they can; none may be left for one.
    AtMost(u64),
}

impl Asked {
    pub fn of(settings: &Settings) -> Self {
        let measured = global_steps(settings).saturating_sub(settings.warmup_steps);
        let shared = match settings.update {
            _ if settings.topology != Topology::ParameterServer => false,
            Update::Async => settings.stop_at_global_step.is_some(),
            Update::Sync => settings.backup_workers > 0,
        };
        match shared {
            true => Self::AtMost(measured),
            false => Self::Exactly(measured),
        }
    }

    pub fn most(self) -> u64 {
        match self {
            Self::Exactly(steps) | Self::AtMost(steps) => steps,
        }
    }

    pub fn allows(self, steps: u64) -> bool {
        match self {
            Self::Exactly(asked) => steps == asked,
            Self::AtMost(most) => steps <= most,
        }
    }
}

/// Steps after which a worker of a synchronous cell stops, warm-up included.
pub fn global_steps(settings: &Settings) -> u64 {
    let fixed = settings.warmup_steps + settings.steps;
    settings.stop_at_global_step.unwrap_or(fixed)
}

/// Whether workers go through their steps side by side, so that the slowest sets the pace.
pub fn in_step(settings: &Settings) -> bool {
    settings.topology != Topology::ParameterServer
        || (settings.update == Update::Sync && settings.backup_workers == 0)
}

/// Whether processes wait for each other while they train.
pub fn linked(settings: &Settings) -> bool {
    matches!(
        settings.topology,
        Topology::ParameterServer | Topology::AllReduce
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::fixture::settings;

    #[test]
    fn only_workers_that_share_a_global_step_may_do_less() {
        let asked = |topology, update, backup_workers, stop| {
            Asked::of(&Settings {
                topology,
                update,
                backup_workers,
                stop_at_global_step: stop,
                ..settings()
            })
        };
        use Asked::{AtMost, Exactly};
        use Topology::{AllReduce, ParameterServer, Single};
        // One step of warm-up and four measured ones.
        assert_eq!(asked(Single, Update::Async, 0, None), Exactly(4));
        assert_eq!(asked(AllReduce, Update::Async, 0, Some(9)), Exactly(8));
        assert_eq!(asked(ParameterServer, Update::Async, 0, None), Exactly(4));
        assert_eq!(asked(ParameterServer, Update::Async, 0, Some(9)), AtMost(8));
        assert_eq!(asked(ParameterServer, Update::Sync, 0, Some(9)), Exactly(8));
        assert_eq!(asked(ParameterServer, Update::Sync, 1, None), AtMost(4));
        assert!(AtMost(4).allows(0) && !AtMost(4).allows(5) && !Exactly(4).allows(3));
    }
}
