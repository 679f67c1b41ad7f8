//! Runs of a cluster of which one process is killed or stopped at any moment: always one row, in
//! bounded time, and nothing of it is left.

use crate::program::{Called, Project, processes_with};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

/// How many runs there are, where somebody wants more than a few.
const RUNS: &str = "CLUSTER_KILLS";

/// Cells of about a second. Silence is bounded by half of the timeout.
const TINY: &str = r#"
schema = 1
name = "tiny"
question = "does a cluster that loses a process always end?"

[model]
name = "mlp"
layers = [16, 32, 16]
local_batch = 8

[devices]
oversubscribe = true

[cluster]
workers = 2
CLUSTER

[measure]
warmup_steps = 5
steps = 20000
repeats = 1
timeout = "6s"
"#;

/// A timeout, the grace of its end, and what a loaded machine needs to start.
const BOUND: Duration = Duration::from_secs(20);

/// The clusters that take turns, and how many processes they have.
const CLUSTERS: [(&str, usize); 2] = [
    ("topology = \"parameter-server\"\nservers = 1", 3),
    ("topology = \"all-reduce\"", 2),
];

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// The processes of the repeat that runs.
fn members_of(harness: &Child) -> Vec<u32> {
    let parent = format!("PPid:\t{}\n", harness.id());
    let status = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/status"));
    let mut all = processes_with("xrun worker");
    all.retain(|pid| status(pid).is_ok_and(|status| status.contains(&parent)));
    all
}

/// Sockets and shared memory that a process has open, each as the kernel names it.
fn holdings(pid: &str) -> BTreeSet<String> {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return BTreeSet::new();
    };
    let named = entries.flatten().filter_map(|entry| {
        let link = fs::read_link(entry.path()).ok()?.to_str()?.to_owned();
        let number = fs::metadata(entry.path()).ok()?.ino();
        let counts = link.starts_with("socket:") || link.starts_with("/memfd:");
        counts.then(|| format!("{link} {number}"))
    });
    named.collect()
}

/// Those of all processes of the machine.
fn all_holdings() -> BTreeSet<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str().map(str::to_owned));
    names.flat_map(|name| holdings(&name)).collect()
}

fn is_gone(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    }
}

#[test]
fn a_cluster_that_loses_a_process_leaves_one_row_and_nothing_else() {
    let runs = std::env::var(RUNS).map_or(6, |text| text.parse().unwrap());
    let mut dice = Dice(20_260_101);
    for run in 0..runs {
        let (topology, processes) = CLUSTERS[run % CLUSTERS.len()];
        let signal = match run % 3 {
            2 => Signal::STOP,
            _ => Signal::KILL,
        };
        one(topology, processes, signal, &mut dice);
    }
}

/// One run whose `processes` lose one at a random time after all of them were started.
fn one(cluster: &str, processes: usize, signal: Signal, dice: &mut Dice) {
    let project = Project::new();
    project.file("tiny.toml", &TINY.replace("CLUSTER", cluster));
    let started = Instant::now();
    let mut harness = project.start(&["tiny.toml", "--keep-disturbed"]);
    let mut members = Vec::new();
    while members.len() < processes && harness.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
        members = members_of(&harness);
    }
    std::thread::sleep(Duration::from_millis(dice.below(400)));
    let held = members.iter().flat_map(|pid| holdings(&pid.to_string()));
    let held: BTreeSet<String> = held.collect();
    let victim = dice.below(processes as u64) as usize;
    let pid = members.get(victim).map(|pid| *pid as i32);
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
    let called = Called::from(harness.wait_with_output().unwrap());
    let took = started.elapsed();
    let story = format!(
        "{cluster}, {signal:?} to process {victim}: {}",
        called.text()
    );
    assert!(took < BOUND, "{took:?}: {story}");
    assert!(
        members.iter().all(|pid| is_gone(*pid)),
        "processes are left: {story}"
    );
    let left = all_holdings();
    let left: Vec<_> = held.intersection(&left).collect();
    assert!(left.is_empty(), "{left:?} are left: {story}");
    let rows = project.repeats("tiny");
    assert_eq!(rows.len(), 1, "{story}");
    let (outcome, reason) = (rows[0]["outcome"].as_str(), &rows[0]["reason"]);
    assert!(
        ["failed", "timed-out", "completed"].contains(&outcome),
        "{story}"
    );
    let undisturbed = !rows[0]["marks"].contains("disturbed");
    let plain = outcome == "completed" && undisturbed;
    assert_eq!(plain, reason.is_empty(), "{story}");
}
