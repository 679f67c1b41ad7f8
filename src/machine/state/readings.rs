//! Single values of `/proc` and `/sys`, each none where the kernel does not tell. Parsing is apart from
//! reading, so that tests need no such kernel.

use crate::machine::read;
use std::fs;
use std::path::Path;

/// Ticks of processor time in `/proc`: `USER_HZ`, which the kernel's interface fixes at 100 on x86 and
/// ARM, whatever its own clock is.
pub const TICKS_PER_SECOND: f64 = 100.0;

/// Ticks of some processors together since the start of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// User, nice and system.
    busy: u64,
    /// Idle, and idle while a disk is waited for.
    idle: u64,
    /// Interrupts: nobody's in particular, and often the repeat's own.
    interrupts: u64,
    steal: u64,
}

impl CpuTimes {
    /// Of those lines `cpuN` of `/proc/stat` that are of `cpus`; none where one of them is missing.
    pub fn parse(stat: &str, cpus: &[usize]) -> Option<CpuTimes> {
        let mut sum = CpuTimes::default();
        for cpu in cpus {
            let name = format!("cpu{cpu} ");
            let fields = stat.lines().find_map(|line| line.strip_prefix(&name))?;
            let ticks: Vec<u64> = fields.split(' ').filter_map(|t| t.parse().ok()).collect();
            let tick = |field: usize| ticks.get(field).copied().unwrap_or(0);
            sum.busy += tick(0) + tick(1) + tick(2);
            sum.idle += tick(3) + tick(4);
            sum.interrupts += tick(5) + tick(6);
            sum.steal += tick(7);
        }
        Some(sum)
    }

    /// Ticks between an earlier reading and this one. Single counters may step back a little.
    pub fn since(self, before: CpuTimes) -> CpuTimes {
        CpuTimes {
            busy: self.busy.saturating_sub(before.busy),
            idle: self.idle.saturating_sub(before.idle),
            interrupts: self.interrupts.saturating_sub(before.interrupts),
            steal: self.steal.saturating_sub(before.steal),
        }
    }

    /// Ticks that no process had. What processes had is the rest of the time by the clock, since the
    /// kernel measures idle time and only samples busy time.
    pub fn unused(self) -> u64 {
        self.idle + self.interrupts + self.steal
    }

    /// Stolen ticks over those in which there was something to run; none where there were none.
    pub fn steal_share(self) -> Option<f64> {
        let wanted = self.busy + self.interrupts + self.steal;
        (wanted > 0).then(|| self.steal as f64 / wanted as f64)
    }
}

pub fn cpu_times(cpus: &[usize]) -> Option<CpuTimes> {
    CpuTimes::parse(&read("/proc/stat"), cpus)
}

/// Ticks that this process and its children that have ended were running.
pub fn own_ticks() -> Option<u64> {
    parse_own_ticks(&read("/proc/self/stat"))
}

/// The sum of `utime`, `stime`, `cutime` and `cstime`, which are fields 14 to 17. The second one, a
/// name in brackets, may hold spaces and brackets.
fn parse_own_ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let times = fields.get(11..15)?;
    times.iter().map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// The process group of a process; none where there is no process of that number.
pub fn process_group(number: u32) -> Option<i32> {
    parse_process_group(&read(&format!("/proc/{number}/stat")))
}

/// The third field behind the name, which may hold spaces and brackets.
fn parse_process_group(stat: &str) -> Option<i32> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(2)?.parse().ok()
}

/// Microseconds in which at least one process waited for memory.
pub fn memory_stall_microseconds() -> Option<u64> {
    parse_pressure(&read("/proc/pressure/memory"))
}

/// The total of the line `some`.
fn parse_pressure(text: &str) -> Option<u64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some
        .split(' ')
        .find_map(|field| field.strip_prefix("total="))?;
    total.parse().ok()
}

/// Mean clock of `cpus` now: what the frequency driver says, or else `/proc/cpuinfo`.
pub fn clock_megahertz(cpus: &[usize]) -> Option<f64> {
    let driver = |cpu: &usize| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq");
        Some(read(&path).trim().parse::<f64>().ok()? / 1000.0)
    };
    let clocks: Option<Vec<f64>> = cpus.iter().map(driver).collect();
    let clocks = clocks.or_else(|| parse_clocks(&read("/proc/cpuinfo"), cpus));
    clocks.and_then(|clocks| super::mean(&clocks))
}

/// The `cpu MHz` of each of `cpus`; none where one of them has none, as on ARM.
fn parse_clocks(cpuinfo: &str, cpus: &[usize]) -> Option<Vec<f64>> {
    let field = |block: &str, name: &str| {
        let mut fields = block.lines().filter_map(|line| line.split_once(':'));
        let value = fields.find(|(key, _)| key.trim() == name)?.1;
        value.trim().parse::<f64>().ok()
    };
    let of = |cpu: &usize| {
        let mut blocks = cpuinfo.split("\n\n");
        let block = blocks.find(|block| field(block, "processor") == Some(*cpu as f64))?;
        field(block, "cpu MHz")
    };
    cpus.iter().map(of).collect()
}

/// How often the cores of `cpus` or their packages were too hot since the start of the machine.
pub fn throttle_count(cpus: &[usize]) -> Option<u64> {
    let of = |cpu: &usize| {
        let folder = format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
        let count = |name: &str| read(&format!("{folder}/{name}")).trim().parse::<u64>().ok();
        let core = count("core_throttle_count")?;
        Some(core + count("package_throttle_count").unwrap_or(0))
    };
    cpus.iter().map(of).sum()
}

/// Thermal zones and sensors that are the processor's.
const SENSORS: [&str; 6] = [
    "x86_pkg_temp",
    "cpu",
    "soc",
    "coretemp",
    "k10temp",
    "zenpower",
];

/// The highest temperature of the processor now.
pub fn temperature_celsius() -> Option<f64> {
    let zones = sensors(Path::new("/sys/class/thermal"), "type", "temp");
    let monitors = sensors(Path::new("/sys/class/hwmon"), "name", "temp1_input");
    zones.chain(monitors).reduce(f64::max)
}

/// Thousandths of a degree in the file `value` of each folder whose file `name` names the processor.
fn sensors<'a>(class: &Path, name: &'a str, value: &'a str) -> impl Iterator<Item = f64> + use<'a> {
    let folders = fs::read_dir(class).into_iter().flatten().flatten();
    folders.filter_map(move |folder| {
        let file = |name: &str| fs::read_to_string(folder.path().join(name)).ok();
        let kind = file(name)?;
        let of_processor = SENSORS.iter().any(|sensor| kind.trim().starts_with(sensor));
        let thousandths: f64 = file(value)?.trim().parse().ok()?;
        of_processor.then_some(thousandths / 1000.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  300 30 60 900 50 7 9 40 0 0\n\
        cpu0 100 10 20 300 25 3 4 20 0 0\n\
        cpu1 150 15 30 500 20 3 4 15 0 0\n\
        cpu10 50 5 10 100 5 1 1 5 0 0\nintr 5\n";

    #[test]
    fn times_are_those_of_the_processors_asked_for() {
        let of = |cpus: &[usize]| CpuTimes::parse(STAT, cpus);
        let both = of(&[0, 10]).unwrap();
        let wanted = CpuTimes {
            busy: 195,
            idle: 430,
            interrupts: 9,
            steal: 25,
        };
        assert_eq!(both, wanted);
        assert_eq!((both.unused(), of(&[1, 2])), (464, None));
        assert_eq!(both.steal_share(), Some(25.0 / 229.0));
        assert_eq!(both.since(both).steal_share(), None);
        // Kernels before 2.6.11 tell no steal.
        assert_eq!(CpuTimes::parse("cpu0 1 2 3 4\n", &[0]).unwrap().steal, 0);
    }

    #[test]
    fn own_time_is_found_behind_any_name() {
        let stat = "12 (a) R 1) R 1 2 3 4 -1 0 9 9 9 9 17 5 100 20 20 0 1 0 55 1 1";
        assert_eq!(parse_own_ticks(stat), Some(142));
        assert_eq!(parse_own_ticks("12 (cut"), None);
        assert_eq!(parse_process_group(stat), Some(2));
        assert_eq!(parse_process_group("12 (cut"), None);
    }

    #[test]
    fn the_group_of_this_process_is_known_and_that_of_none_is_not() {
        let own = rustix::process::getpgrp().as_raw_nonzero().get();
        assert_eq!(process_group(std::process::id()), Some(own));
        assert_eq!(process_group(0), None);
    }

    #[test]
    fn pressure_is_the_total_of_the_line_some() {
        let text = "some avg10=0.13 avg60=0.20 avg300=0.57 total=207344238\n\
            full avg10=0.08 avg60=0.15 avg300=0.43 total=162979925\n";
        assert_eq!(parse_pressure(text), Some(207_344_238));
        assert_eq!(parse_pressure(""), None);
    }

    #[test]
    fn clocks_are_those_of_the_processors_asked_for() {
        let text = "processor\t: 0\ncpu MHz\t\t: 2600.5\n\nprocessor\t: 1\ncpu MHz\t\t: 1200\n\n";
        assert_eq!(parse_clocks(text, &[1, 0]), Some(vec![1200.0, 2600.5]));
        assert_eq!(parse_clocks(text, &[2]), None);
        assert_eq!(parse_clocks("processor : 0\n", &[0]), None);
    }

    #[test]
    fn sensors_of_other_things_than_the_processor_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for (zone, kind, value) in [
            ("zone0", "acpitz\n", "99000\n"),
            ("zone1", "x86_pkg_temp\n", "61500\n"),
            ("zone2", "cpu-thermal\n", "not now\n"),
        ] {
            let zone = folder.path().join(zone);
            fs::create_dir(&zone).unwrap();
            fs::write(zone.join("type"), kind).unwrap();
            fs::write(zone.join("temp"), value).unwrap();
        }
        let found: Vec<f64> = sensors(folder.path(), "type", "temp").collect();
        assert_eq!(found, [61.5]);
    }
}
