//! Processors: model, physical cores with their logical CPUs, and the limits that a container or an
//! affinity mask sets. In: `/proc` and `/sys`. Out: what a process may pin threads to.

use super::read;
use std::collections::BTreeSet;
use std::fs;

/// Physical cores that this process may use.
pub struct UsableCores {
    pub cores: Vec<Vec<usize>>,
    pub total: usize,
    /// Why not all; empty where all.
    pub limit: String,
}

/// The cores in the affinity mask of this process, no more of them than its CPU quota.
pub fn usable_cores() -> UsableCores {
    let all = fs::read_to_string("/sys/devices/system/cpu/online");
    let all = cpu_list(&all.unwrap_or_else(|_| "0".into()));
    let allowed = allowed_cpus().unwrap_or_else(|| all.clone());
    let total = physical_cores(&all, siblings).len();
    bounded(physical_cores(&allowed, siblings), total, quota())
}

/// Leaves as many whole cores as the quota pays for, but at least one.
fn bounded(mut cores: Vec<Vec<usize>>, total: usize, quota: Option<f64>) -> UsableCores {
    let total = total.max(cores.len());
    let paid = quota.map_or(usize::MAX, |cpus| (cpus.floor() as usize).max(1));
    let limit = match quota {
        Some(cpus) if paid < cores.len() => format!("a CPU quota of {cpus}"),
        _ if cores.len() < total => "affinity".to_owned(),
        _ => String::new(),
    };
    cores.truncate(paid);
    UsableCores {
        cores,
        total,
        limit,
    }
}

/// Groups `cpus` by the core that they share; `siblings` gives all logical CPUs of one's core.
fn physical_cores(cpus: &[usize], siblings: impl Fn(usize) -> Vec<usize>) -> Vec<Vec<usize>> {
    let mut left: BTreeSet<usize> = cpus.iter().copied().collect();
    let mut cores = Vec::new();
    while let Some(first) = left.pop_first() {
        let others = siblings(first).into_iter().filter(|cpu| left.remove(cpu));
        cores.push([first].into_iter().chain(others).collect());
    }
    cores
}

fn siblings(cpu: usize) -> Vec<usize> {
    let folder = format!("/sys/devices/system/cpu/cpu{cpu}/topology");
    cpu_list(&read(&format!("{folder}/thread_siblings_list")))
}

fn allowed_cpus() -> Option<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None).ok()?;
    let cpus = (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu));
    Some(cpus.collect())
}

/// A list as the kernel writes it: `0-3,8`.
fn cpu_list(text: &str) -> Vec<usize> {
    let parse = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(parse).flatten().collect()
}

/// Processors' worth of time that control groups grant to this process; none without a limit.
fn quota() -> Option<f64> {
    let groups = read("/proc/self/cgroup");
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or(""), fields.next().unwrap_or("/"));
        match controllers {
            "" => ancestors(path)
                .filter_map(|path| quota_v2(&path))
                .collect::<Vec<_>>(),
            _ if controllers.split(',').any(|name| name == "cpu") => {
                ancestors(path).filter_map(|path| quota_v1(&path)).collect()
            }
            _ => Vec::new(),
        }
    });
    limits.reduce(f64::min)
}

/// A control group's path and those of all groups above it, since each may set a limit.
fn ancestors(path: &str) -> impl Iterator<Item = String> {
    let paths = std::path::Path::new(path).ancestors();
    paths.map(|path| path.display().to_string())
}

fn quota_v2(group: &str) -> Option<f64> {
    cpu_max(&read(&format!("/sys/fs/cgroup{group}/cpu.max")))
}

fn quota_v1(group: &str) -> Option<f64> {
    let folder = format!("/sys/fs/cgroup/cpu{group}");
    let quota = read(&format!("{folder}/cpu.cfs_quota_us"));
    cpu_max(&format!(
        "{} {}",
        quota.trim(),
        read(&format!("{folder}/cpu.cfs_period_us"))
    ))
}

/// `quota period` in microseconds; `max` or a negative quota is no limit.
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// The processor's name, or its architecture where the kernel gives none.
pub fn model(cpuinfo: &str) -> String {
    let architecture = std::env::consts::ARCH;
    field(cpuinfo, "model name")
        .unwrap_or(architecture)
        .to_owned()
}

/// True where the first processor has the flag.
pub fn has_flag(cpuinfo: &str, flag: &str) -> bool {
    let flags = field(cpuinfo, "flags").unwrap_or_default();
    flags.split_whitespace().any(|word| word == flag)
}

fn field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    let fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    fields
        .into_iter()
        .find_map(|(key, value)| (key.trim() == name).then(|| value.trim()))
}

/// The words of a processor's name that tell it from others.
pub fn model_words(model: &str) -> Vec<String> {
    let plain = model
        .replace("(R)", "")
        .replace("(TM)", "")
        .replace("(tm)", "");
    let noise =
        |word: &&str| !matches!(*word, "CPU" | "Processor" | "@") && !word.ends_with("-Core");
    let words: Vec<String> = plain
        .split_whitespace()
        .filter(noise)
        .map(String::from)
        .collect();
    if words.is_empty() {
        vec!["cpu".to_owned()]
    } else {
        words
    }
}

/// Runnable processes of the last minute, over all cores; zero where it cannot be read.
pub fn load_average() -> f64 {
    let text = read("/proc/loadavg");
    let first = text.split_whitespace().next();
    first.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_are_one_core() {
        let pairs = |cpu: usize| vec![cpu % 4, cpu % 4 + 4];
        let cores = physical_cores(&[0, 1, 2, 4, 7], pairs);
        assert_eq!(cores, [vec![0, 4], vec![1], vec![2], vec![7]]);
        assert_eq!(physical_cores(&[3, 5], |_| Vec::new()), [vec![3], vec![5]]);
    }

    #[test]
    fn lists_and_quotas_are_read_as_the_kernel_writes_them() {
        assert_eq!(cpu_list("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(cpu_list(""), [] as [usize; 0]);
        assert_eq!(cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(cpu_max("max 100000\n"), None);
        assert_eq!(cpu_max("-1 100000\n"), None);
        assert_eq!(ancestors("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
    }

    #[test]
    fn a_quota_bounds_the_cores_and_is_said() {
        let cores = || (0..4).map(|cpu| vec![cpu]).collect::<Vec<_>>();
        let say = |cores, total, quota| {
            let usable = bounded(cores, total, quota);
            (usable.cores.len(), usable.total, usable.limit)
        };
        assert_eq!(say(cores(), 4, None), (4, 4, String::new()));
        assert_eq!(say(cores(), 8, None), (4, 8, "affinity".into()));
        assert_eq!(
            say(cores(), 8, Some(2.5)),
            (2, 8, "a CPU quota of 2.5".into())
        );
        assert_eq!(say(cores(), 4, Some(0.2)).0, 1);
        assert_eq!(say(cores(), 4, Some(64.0)), (4, 4, String::new()));
    }

    #[test]
    fn fields_of_the_first_processor_count() {
        let text = "processor\t: 0\nmodel name\t: A @ 1GHz\nflags\t\t: fpu hypervisor\n";
        assert_eq!(model(text), "A @ 1GHz");
        assert!(has_flag(text, "hypervisor") && !has_flag(text, "hyper"));
        assert_eq!(model(""), std::env::consts::ARCH);
    }
}
