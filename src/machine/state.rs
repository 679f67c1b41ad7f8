//! What else went on in the machine while a repeat ran. In: `/proc`, `/sys` and NVML, around the repeat
//! and now and then during it. Out: a [`State`] for its row, and why the repeat counts as disturbed. What a
//! kernel does not tell stays empty. Knows neither cells nor tables.

mod disturbance;
mod gpus;
mod readings;

pub use gpus::{GpuState, GpuWatch, Listing, Process, Sensors};

use disturbance::Span;
use readings::{CpuTimes, TICKS_PER_SECOND};
use std::time::{Duration, Instant};

/// The machine during one repeat, launch and end of its processes included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Processor time of processes that are not the repeat's, on processors that it may use, over the
    /// time of the cores that its replicas and servers have. 1 is a whole such core for each of them.
    pub other_cpu_share: Option<f64>,
    /// Of the time in which processors had something to run, the share that the hypervisor gave to
    /// others.
    pub steal_share: Option<f64>,
    /// Mean over the repeat's processors, looked at while steps went on.
    pub clock_megahertz: Option<f64>,
    /// The highest that a sensor of the processor showed.
    pub temperature_celsius: Option<f64>,
    /// How often the processor slowed down since it was too hot.
    pub throttle_count: Option<u64>,
    /// The share of the time in which a process waited for memory.
    pub memory_pressure_share: Option<f64>,
    pub gpus: GpuState,
}

/// What was seen of the machine during a repeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub state: State,
    /// Why the repeat counts as disturbed, in words.
    pub disturbance: Option<String>,
    /// The processes on each GPU of the machine, as far as NVML tells, where the repeat has some.
    pub listings: Vec<Listing>,
}

/// Processors by their logical numbers.
#[derive(Clone, Copy, Debug)]
pub struct Processors<'a> {
    /// Those that this process may use.
    pub usable: &'a [usize],
    /// Those that the repeat's replicas and servers are pinned to.
    pub pinned: &'a [usize],
}

/// Looks at the machine from its making to [`Watch::end`].
#[derive(Debug)]
pub struct Watch<'a> {
    processors: Processors<'a>,
    started: Instant,
    before: Counters,
    looked: Instant,
    /// Megahertz and degrees of each look.
    clocks: Vec<f64>,
    temperatures: Vec<f64>,
    gpus: GpuWatch<'a>,
}

/// Counters of the kernel that only grow.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    cpus: Option<CpuTimes>,
    /// Ticks of this process and of its children that have ended.
    own: Option<u64>,
    throttled: Option<u64>,
    /// Microseconds in which a process waited for memory.
    memory: Option<u64>,
}

/// Between two looks, so that looking takes no time to speak of.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

impl<'a> Watch<'a> {
    pub fn begin(processors: Processors<'a>, gpus: GpuWatch<'a>) -> Self {
        Self {
            processors,
            started: Instant::now(),
            before: Counters::read(processors),
            looked: Instant::now(),
            clocks: Vec::new(),
            temperatures: Vec::new(),
            gpus,
        }
    }

    /// For the moment at which all processes are on their devices, and none has a step to do: which
    /// processes use GPUs is seen without taking time from any step, however short the repeat is.
    pub fn ready(&mut self) {
        self.gpus.list();
    }

    /// For any moment at which steps go on. Most calls do nothing. The first one looks at GPUs, since
    /// nothing is seen of them once the repeat is over.
    pub fn look(&mut self) {
        if self.looked.elapsed() >= BETWEEN_LOOKS {
            self.look_now();
            self.gpus.look();
        } else if self.gpus.is_blind() {
            self.gpus.look();
        }
    }

    fn look_now(&mut self) {
        self.looked = Instant::now();
        self.clocks
            .extend(readings::clock_megahertz(self.processors.pinned));
        self.temperatures.extend(readings::temperature_celsius());
    }

    /// What was seen. `measured_seconds` is how long the repeat measured; none where it was not
    /// completed, so that there is nothing to judge. `groups` are its process groups.
    pub fn end(mut self, measured_seconds: Option<f64>, groups: &[i32]) -> Seen {
        let seconds = self.started.elapsed().as_secs_f64();
        let after = Counters::read(self.processors);
        if self.clocks.is_empty() {
            self.look_now(); // A repeat that was over before the first look.
        }
        let (gpus, listings) = self.gpus.end(groups);
        let state = State {
            clock_megahertz: mean(&self.clocks),
            temperature_celsius: self.temperatures.iter().copied().reduce(f64::max),
            gpus,
            ..between(&self.before, &after, seconds, self.processors)
        };
        let span = Span {
            seconds,
            cores: self.processors.pinned.len(),
        };
        let disturbance = measured_seconds.and_then(|measured| {
            let told = span.is_told(measured, self.processors);
            disturbance::all(&state, told.then_some(span))
        });
        Seen {
            state,
            disturbance,
            listings,
        }
    }
}

impl Counters {
    fn read(processors: Processors) -> Self {
        Self {
            cpus: readings::cpu_times(processors.usable),
            own: readings::own_ticks(),
            throttled: readings::throttle_count(processors.pinned),
            memory: readings::memory_stall_microseconds(),
        }
    }
}

/// What counters say of the `seconds` between two readings.
fn between(before: &Counters, after: &Counters, seconds: f64, processors: Processors) -> State {
    let grown = |of: fn(&Counters) -> Option<u64>| Some(of(after)?.saturating_sub(of(before)?));
    let cpus = before.cpus.zip(after.cpus);
    let cpus = cpus.map(|(before, after)| after.since(before));
    let share = |cpus: CpuTimes| {
        let all = seconds * TICKS_PER_SECOND * processors.usable.len() as f64;
        let others = all - cpus.unused() as f64 - grown(|counters| counters.own)? as f64;
        let cores = seconds * TICKS_PER_SECOND * processors.pinned.len() as f64;
        (cores > 0.0).then(|| others.max(0.0) / cores)
    };
    State {
        other_cpu_share: cpus.and_then(share),
        steal_share: cpus.and_then(|cpus| cpus.steal_share()),
        throttle_count: grown(|counters| counters.throttled),
        memory_pressure_share: grown(|counters| counters.memory)
            .map(|stalled| stalled as f64 * 1e-6 / seconds),
        ..State::default()
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().sum();
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two processors of which the repeat has one.
    const TWO: Processors = Processors {
        usable: &[0, 1],
        pinned: &[0],
    };

    fn counters(idle: u64, steal: u64, own: u64) -> Counters {
        let busy = 2000 - idle - steal;
        let text = format!("cpu0 {busy} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\n");
        Counters {
            cpus: CpuTimes::parse(&text, &[0, 1]),
            own: Some(own),
            throttled: Some(own / 100),
            memory: Some(own * 1000),
        }
    }

    #[test]
    fn time_that_is_neither_idle_nor_stolen_nor_own_is_others() {
        // Ten seconds of two processors: 2000 ticks, of which 900 idle, 100 stolen and 700 own.
        let before = Counters {
            cpus: CpuTimes::parse("cpu0 0 0 0 0\ncpu1 0 0 0 0\n", &[0, 1]),
            own: Some(0),
            throttled: Some(0),
            memory: Some(0),
        };
        let state = between(&before, &counters(900, 100, 700), 10.0, TWO);
        let close = |value: Option<f64>, wanted: f64| (value.unwrap() - wanted).abs() < 1e-9;
        assert!(close(state.other_cpu_share, 0.3), "{state:?}");
        assert!(close(state.steal_share, 100.0 / 1100.0), "{state:?}");
        assert!(close(state.memory_pressure_share, 0.07), "{state:?}");
        assert_eq!(state.throttle_count, Some(7));
    }

    #[test]
    fn a_repeat_that_uses_all_that_was_used_has_no_others() {
        let state = between(&counters(0, 0, 0), &counters(1000, 0, 1003), 10.0, TWO);
        assert_eq!(state.other_cpu_share, Some(0.0));
        let blind = between(&Counters::default(), &counters(0, 0, 0), 1.0, TWO);
        assert_eq!(blind, State::default());
    }

    #[test]
    fn what_this_process_does_is_not_done_by_others() {
        let cpus: Vec<usize> = (0..std::thread::available_parallelism().unwrap().get()).collect();
        let processors = Processors {
            usable: &cpus,
            pinned: &cpus,
        };
        let before = readings::own_ticks().unwrap();
        let sensors = Sensors::default();
        let watch = Watch::begin(processors, GpuWatch::new(&sensors, Vec::new()));
        let start = Instant::now();
        while readings::own_ticks().unwrap() < before + 10 {
            assert!(start.elapsed() < Duration::from_secs(60), "work is counted");
        }
        let seen = watch.end(None, &[]);
        assert!((0.0..=1.05).contains(&seen.state.other_cpu_share.unwrap()));
        assert_eq!(
            seen.disturbance, None,
            "what was not completed is not judged"
        );
    }
}
