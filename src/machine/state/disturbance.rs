//! When a repeat counts as disturbed. In: the [`State`] of the machine during it. Out: the reason, in
//! words that end in a row. Pure.

use super::readings::TICKS_PER_SECOND;
use super::{Processors, State};

/// Shares of a shorter time mean nothing: the kernel counts in ticks of a hundredth of a second, and
/// one short job of another process is a large part of it.
const LEAST_SECONDS: f64 = 1.0;

/// Of the cores that the repeat has. A core that is shared for a twentieth of the time is slower by as
/// much, which is more than the differences that comparisons look for; the services of a quiet
/// machine take less than a hundredth. Others count wherever they run: on a core of their own they
/// still take memory bandwidth, cache and clock.
const MOST_OTHERS: f64 = 0.05;

/// A processor that is taken away for a fiftieth of the time delays every step that waits for it.
const MOST_STEAL: f64 = 0.02;

/// Whether the repeat measured for long enough to be judged. Times of each processor are whole ticks:
/// with many processors the rounding alone may come near [`MOST_OTHERS`].
pub fn can_tell(measured_seconds: f64, processors: Processors) -> bool {
    let rounding = processors.usable.len() as f64 / TICKS_PER_SECOND;
    let told = measured_seconds * MOST_OTHERS * processors.pinned.len() as f64;
    measured_seconds >= LEAST_SECONDS && rounding < told
}

/// Everything that was above its threshold; none where nothing was. `cores` are those that the repeat
/// has.
pub fn reason(state: &State, cores: usize) -> Option<String> {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let others = state.other_cpu_share.filter(|share| *share > MOST_OTHERS);
    let others = others.map(|share| {
        let of = match cores {
            1 => "a core".to_owned(),
            _ => format!("{cores} cores"),
        };
        format!(
            "other processes used {} of {of} (at most {})",
            percent(share),
            percent(MOST_OTHERS)
        )
    });
    let steal = state.steal_share.filter(|share| *share > MOST_STEAL);
    let steal = steal.map(|share| {
        format!(
            "the hypervisor took {} of the processor time (at most {})",
            percent(share),
            percent(MOST_STEAL)
        )
    });
    // The clock is lower for a while after each, whoever made the heat.
    let hot = state.throttle_count.filter(|count| *count > 0);
    let hot = hot.map(|count| format!("the processor was too hot and slowed down {count} x"));
    let reasons: Vec<String> = [others, steal, hot].into_iter().flatten().collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(others: f64, steal: f64, throttled: u64) -> State {
        State {
            other_cpu_share: Some(others),
            steal_share: Some(steal),
            throttle_count: Some(throttled),
            ..State::default()
        }
    }

    #[test]
    fn a_quiet_machine_disturbs_nothing_and_neither_does_a_blind_one() {
        assert_eq!(reason(&state(0.05, 0.02, 0), 2), None);
        assert_eq!(reason(&State::default(), 2), None);
    }

    #[test]
    fn everything_above_its_threshold_is_named() {
        insta::assert_snapshot!(reason(&state(0.31, 0.0, 0), 2).unwrap(), @"other processes used 31.0 % of 2 cores (at most 5.0 %)");
        insta::assert_snapshot!(reason(&state(1.2, 0.034, 3), 1).unwrap(), @"other processes used 120.0 % of a core (at most 5.0 %); the hypervisor took 3.4 % of the processor time (at most 2.0 %); the processor was too hot and slowed down 3 x");
    }

    #[test]
    fn short_repeats_and_few_cores_of_many_are_not_judged() {
        let tells = |seconds: f64, usable: usize, pinned: usize| {
            let cpus: Vec<usize> = (0..usable).collect();
            let processors = Processors {
                usable: &cpus,
                pinned: &cpus[..pinned],
            };
            can_tell(seconds, processors)
        };
        assert!(tells(1.0, 2, 1) && !tells(0.99, 2, 2));
        assert!(!tells(10.0, 128, 1) && tells(30.0, 128, 1) && tells(10.0, 128, 8));
    }
}
