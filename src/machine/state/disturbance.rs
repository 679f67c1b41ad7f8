//! When a repeat counts as disturbed. In: the [`State`] of the machine during it. Out: the reason, in
//! words that end in a row. Pure.

use super::gpus::ABNORMAL;
use super::readings::TICKS_PER_SECOND;
use super::{GpuState, Processors, State};

/// Shares of a shorter time mean nothing: starting and ending is most of such a repeat.
const LEAST_SECONDS: f64 = 0.25;

/// Processor time, in seconds, that others may always take: one short job of another process is a large
/// share of a short repeat, and the kernel counts in ticks of a hundredth of a second.
const ALWAYS_OTHERS: f64 = 0.05;
const ALWAYS_STEAL: f64 = 0.02;

/// Of the cores that the repeat has. A core that is shared for a twentieth of the time is slower by as
/// much, which is more than the differences that comparisons look for; the services of a quiet
/// machine take less than a hundredth. Others count wherever they run: on a core of their own they
/// still take memory bandwidth, cache and clock.
const MOST_OTHERS: f64 = 0.05;

/// A processor that is taken away for a fiftieth of the time delays every step that waits for it.
const MOST_STEAL: f64 = 0.02;

/// Where and for how long a repeat was.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// From launch to the end of its last process.
    pub seconds: f64,
    /// Cores that the repeat has.
    pub cores: usize,
}

impl Span {
    /// The share of these cores that may be taken: `share`, or `always` seconds where that is more.
    fn limit(self, share: f64, always: f64) -> f64 {
        share.max(always / (self.seconds * self.cores as f64))
    }

    /// Whether the repeat measured for long enough to be judged. Times of each processor are whole ticks:
    /// with many processors the rounding alone may come near the limit.
    pub fn is_told(self, measured_seconds: f64, processors: Processors) -> bool {
        let rounding = processors.usable.len() as f64 / TICKS_PER_SECOND;
        let allowed = self.limit(MOST_OTHERS, ALWAYS_OTHERS) * self.seconds * self.cores as f64;
        measured_seconds >= LEAST_SECONDS && rounding < allowed
    }
}

/// All that disturbed the repeat, on its processors where a span tells enough of them, and on its GPUs;
/// none where nothing did.
pub fn all(state: &State, span: Option<Span>) -> Option<String> {
    let on_processors = span.and_then(|span| reason(state, span));
    let reasons = [on_processors, of_gpus(&state.gpus)];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// What slowed GPUs down that are otherwise the repeat's alone.
fn of_gpus(state: &GpuState) -> Option<String> {
    let words = state.throttle_reasons.split(' ');
    let abnormal: Vec<&str> = words.filter(|word| ABNORMAL.contains(word)).collect();
    let slow = (!abnormal.is_empty()).then(|| {
        let words = abnormal.join(", ");
        format!("a GPU slowed down ({words})")
    });
    let others = state.other_processes.filter(|others| *others > 0);
    let others = others.map(|others| match others {
        1 => "another process was on its GPUs".to_owned(),
        several => format!("{several} other processes were on its GPUs"),
    });
    let reasons: Vec<String> = [slow, others].into_iter().flatten().collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Everything that was above its threshold; none where nothing was.
fn reason(state: &State, span: Span) -> Option<String> {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let limit = span.limit(MOST_OTHERS, ALWAYS_OTHERS);
    let others = state.other_cpu_share.filter(|share| *share > limit);
    let others = others.map(|share| {
        let of = match span.cores {
            1 => "a core".to_owned(),
            cores => format!("{cores} cores"),
        };
        format!(
            "other processes used {} of {of} (at most {})",
            percent(share),
            percent(limit)
        )
    });
    let limit = span.limit(MOST_STEAL, ALWAYS_STEAL);
    let steal = state.steal_share.filter(|share| *share > limit);
    let steal = steal.map(|share| {
        format!(
            "the hypervisor took {} of the processor time (at most {})",
            percent(share),
            percent(limit)
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

    const LONG: Span = Span {
        seconds: 10.0,
        cores: 2,
    };

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
        assert_eq!(reason(&state(0.05, 0.02, 0), LONG), None);
        assert_eq!(reason(&State::default(), LONG), None);
    }

    #[test]
    fn everything_above_its_threshold_is_named() {
        insta::assert_snapshot!(reason(&state(0.31, 0.0, 0), LONG).unwrap(), @"other processes used 31.0 % of 2 cores (at most 5.0 %)");
        insta::assert_snapshot!(reason(&state(1.2, 0.034, 3), Span { cores: 1, ..LONG }).unwrap(), @"other processes used 120.0 % of a core (at most 5.0 %); the hypervisor took 3.4 % of the processor time (at most 2.0 %); the processor was too hot and slowed down 3 x");
    }

    #[test]
    fn in_a_short_repeat_a_share_counts_by_its_processor_time() {
        let short = Span {
            seconds: 0.25,
            cores: 2,
        };
        assert_eq!(reason(&state(0.1, 0.04, 0), short), None);
        insta::assert_snapshot!(reason(&state(0.11, 0.05, 0), short).unwrap(), @"other processes used 11.0 % of 2 cores (at most 10.0 %); the hypervisor took 5.0 % of the processor time (at most 4.0 %)");
    }

    #[test]
    fn a_gpu_disturbs_by_heat_brakes_and_company_but_not_at_its_power_cap() {
        let told = |reasons: &str, others| {
            let gpus = GpuState {
                throttle_reasons: reasons.into(),
                other_processes: others,
                ..GpuState::default()
            };
            let state = State {
                gpus,
                ..state(0.31, 0.0, 0)
            };
            all(&state, None).unwrap_or_default()
        };
        assert_eq!(told("sw-power-cap sync-boost", Some(0)), "");
        assert_eq!(told("", None), "");
        insta::assert_snapshot!(told("sw-power-cap sw-thermal-slowdown hw-slowdown", Some(1)), @"a GPU slowed down (sw-thermal-slowdown, hw-slowdown); another process was on its GPUs");
        insta::assert_snapshot!(told("hw-power-brake-slowdown", Some(2)), @"a GPU slowed down (hw-power-brake-slowdown); 2 other processes were on its GPUs");
    }

    #[test]
    fn short_repeats_and_few_cores_of_many_are_not_judged() {
        let tells = |seconds: f64, usable: usize, cores: usize| {
            let cpus: Vec<usize> = (0..usable).collect();
            let processors = Processors {
                usable: &cpus,
                pinned: &cpus[..cores],
            };
            Span { seconds, cores }.is_told(seconds, processors)
        };
        assert!(tells(0.25, 2, 1) && !tells(0.24, 2, 1) && !tells(0.25, 8, 1));
        assert!(!tells(10.0, 128, 1) && tells(30.0, 128, 1) && tells(10.0, 128, 8));
    }
}
