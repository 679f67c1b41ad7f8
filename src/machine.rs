//! What hardware is here. In: `/proc`, `/sys`, NVML and the affinity of this process. Out: a
//! [`Machine`], its short name, and what a record says of where it was made. What else goes on in it
//! while a repeat runs is [`state`]'s. Knows no experiment.

mod cpu;
mod git;
pub mod gpu;
pub mod state;

pub use cpu::load_average;
pub use git::git_revision;
pub use gpu::Gpu;

use crate::units::counted;
use serde::Serialize;
use std::fs;

pub mod record;

/// The hardware and software that repeats run on, as far as this process may use it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Machine {
    pub cpu_model: String,
    /// Physical cores that this process may use, each as the logical CPUs that share it.
    pub cores: Vec<Vec<usize>>,
    /// Physical cores of the whole machine.
    pub total_cores: usize,
    /// Why fewer cores than that may be used; empty where all may.
    pub cores_limit: String,
    pub memory_bytes: u64,
    pub os: String,
    pub kernel: String,
    pub architecture: String,
    /// True on a virtual machine, whose cores may be shared with others.
    pub hypervisor: bool,
    /// The compiler that built this program.
    pub compiler: String,
    /// Why no GPU was found; empty where there are some.
    pub gpu_message: String,
    /// Why not all GPUs that are here may be used; empty where all may.
    pub gpus_limit: String,
    pub gpus: Vec<Gpu>,
}

impl Machine {
    /// Looks at this machine. What cannot be read stays empty; without any readable topology each
    /// logical CPU counts as a core.
    pub fn detect() -> Self {
        let usable = cpu::usable_cores();
        let cpuinfo = read("/proc/cpuinfo");
        let gpus = gpu::detect();
        Self {
            cpu_model: cpu::model(&cpuinfo),
            cores: usable.cores,
            total_cores: usable.total,
            cores_limit: usable.limit,
            memory_bytes: memory_bytes(&read("/proc/meminfo")),
            os: os_name(&read("/etc/os-release")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            hypervisor: cpu::has_flag(&cpuinfo, "hypervisor"),
            compiler: env!("BUILD_COMPILER").to_owned(),
            gpu_message: gpus.as_ref().err().cloned().unwrap_or_default(),
            gpus_limit: gpus
                .as_ref()
                .map_or_else(|_| String::new(), |found| found.limit.clone()),
            gpus: gpus.map_or_else(|_| Vec::new(), |found| found.gpus),
        }
    }

    /// A name for folders, of `[a-z0-9-]`: `intel-xeon-2-50ghz-2-cores-1-nvidia-h200`. Machines of
    /// the same hardware share it; it never holds a host name.
    pub fn slug(&self) -> String {
        let mut words = cpu::model_words(&self.cpu_model);
        words.push(counted(self.cores.len() as u64, "core"));
        if let Some(first) = self.gpus.first() {
            words.push(format!("{} {}", self.gpus.len(), first.name));
        }
        words
            .join(" ")
            .to_lowercase()
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join("-")
    }

    /// The logical CPUs of all cores that may be used.
    pub fn cpus(&self) -> Vec<usize> {
        self.cores.iter().flatten().copied().collect()
    }

    /// How many cores may be used, for people: `2`, or `2 usable of 8 (affinity)`.
    pub fn cores_text(&self) -> String {
        match self.cores_limit.as_str() {
            "" => self.cores.len().to_string(),
            limit => format!(
                "{} usable of {} ({limit})",
                self.cores.len(),
                self.total_cores
            ),
        }
    }

    /// How many GPUs may be used, for people: `2`, or `2 (CUDA_VISIBLE_DEVICES leaves 2 of 8)`.
    pub fn gpus_text(&self) -> String {
        let count = self.gpus.len();
        match self.gpus_limit.as_str() {
            "" => count.to_string(),
            limit => format!("{count} ({limit})"),
        }
    }

    /// The contents of `machine.toml`.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a machine is a table of plain values")
    }
}

/// A small text file of the kernel or the distribution; empty where there is none.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn memory_bytes(meminfo: &str) -> u64 {
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
    kibibytes.unwrap_or(0u64) * 1024
}

fn os_name(os_release: &str) -> String {
    let pretty = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    pretty
        .unwrap_or(std::env::consts::OS)
        .trim_matches('"')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cpu_model: &str, cores: usize) -> Machine {
        Machine {
            cpu_model: cpu_model.to_owned(),
            cores: (0..cores).map(|cpu| vec![cpu]).collect(),
            total_cores: cores,
            ..Machine::default()
        }
    }

    #[test]
    fn slugs_name_the_hardware() {
        let slugs = [
            machine("Intel(R) Xeon(R) Processor @ 2.50GHz", 2).slug(),
            machine("AMD EPYC 7763 64-Core Processor", 64).slug(),
            machine("", 1).slug(),
        ];
        assert_eq!(
            slugs,
            [
                "intel-xeon-2-50ghz-2-cores",
                "amd-epyc-7763-64-cores",
                "cpu-1-core"
            ]
        );
        let mut with_gpu = machine("AMD EPYC 7763 64-Core Processor", 64);
        let gpu = Gpu {
            uuid: "GPU-1".into(),
            name: "NVIDIA H200".into(),
            ..Gpu::default()
        };
        with_gpu.gpus = vec![gpu.clone(), gpu];
        assert_eq!(with_gpu.slug(), "amd-epyc-7763-64-cores-2-nvidia-h200");
    }

    #[test]
    fn this_machine_has_cores_memory_and_a_record_that_reads_back() {
        let machine = Machine::detect();
        assert!(!machine.cores.is_empty() && machine.cores.iter().all(|core| !core.is_empty()));
        assert!(machine.total_cores >= machine.cores.len());
        assert!(machine.memory_bytes > 1 << 20);
        assert!(machine.compiler.starts_with("rustc "));
        assert_eq!(machine.gpus.is_empty(), !machine.gpu_message.is_empty());
        let record: toml::Table = machine.to_toml().parse().unwrap();
        assert_eq!(
            record["cores"].as_array().unwrap().len(),
            machine.cores.len()
        );
    }

    #[test]
    fn limits_of_cores_are_said() {
        let mut limited = machine("any", 2);
        limited.total_cores = 8;
        limited.cores_limit = "a CPU quota of 2.5".into();
        assert_eq!(limited.cores_text(), "2 usable of 8 (a CPU quota of 2.5)");
        assert_eq!(machine("any", 2).cores_text(), "2");
    }

    #[test]
    fn small_files_are_read_as_the_kernel_writes_them() {
        assert_eq!(
            memory_bytes("MemTotal:        8064432 kB\nMemFree: 1 kB\n"),
            8_257_978_368
        );
        assert_eq!(
            os_name("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
            "Debian GNU/Linux 12"
        );
    }
}
