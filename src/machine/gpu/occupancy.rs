//! What a GPU is used for at this moment. In: NVML. Out: a [`Reading`] of one GPU, and who of it is none
//! of ours. Decides nothing.

use crate::units::Bytes;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml};
use std::fmt;

/// Longer names of processes are cut by NVML.
const NAME_BYTES: usize = 256;

/// NVML, open. While it is, the driver keeps GPUs awake that nobody else uses, which would take seconds
/// to wake up for each repeat.
#[derive(Debug)]
pub struct Library(Nvml);

/// One GPU at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Memory that is in use, the driver's own apart.
    pub used_bytes: u64,
    /// Processes that compute on it, this one apart. A container often hides those of others.
    pub processes: Vec<GpuProcess>,
    /// Whether it draws for a display, whose memory is nothing to wait for.
    pub draws: bool,
}

/// A process that has a GPU open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuProcess {
    pub pid: u32,
    /// The file name of its program; `?` where nobody tells.
    pub name: String,
    /// None where the driver does not tell.
    pub memory_bytes: Option<u64>,
}

impl Library {
    /// # Errors
    /// Where there is no driver, in NVML's words.
    pub fn open() -> Result<Self, String> {
        Nvml::init().map(Self).map_err(|error| error.to_string())
    }

    /// The GPU of this UUID now.
    ///
    /// # Errors
    /// Where it does not answer, as after it has fallen off its bus; in NVML's words.
    pub fn read(&self, uuid: &str) -> Result<Reading, String> {
        self.reading(uuid).map_err(|error| error.to_string())
    }

    fn reading(&self, uuid: &str) -> Result<Reading, NvmlError> {
        let device = self.0.device_by_uuid(uuid)?;
        Ok(Reading {
            used_bytes: device.memory_info()?.used,
            processes: self.processes(&device)?,
            draws: !told(device.running_graphics_processes())?.is_empty(),
        })
    }

    /// Those that compute, in the order of their numbers.
    fn processes(&self, device: &Device<'_>) -> Result<Vec<GpuProcess>, NvmlError> {
        let mut processes = told(device.running_compute_processes())?;
        processes.retain(|process| process.pid != std::process::id());
        processes.sort_by_key(|process| process.pid);
        let described = processes.iter().map(|process| GpuProcess {
            pid: process.pid,
            name: self.name(process.pid),
            memory_bytes: memory(process),
        });
        Ok(described.collect())
    }

    /// NVML knows names that this process may not read, of other users and other containers.
    fn name(&self, pid: u32) -> String {
        let told = self.0.sys_process_name(pid, NAME_BYTES).ok();
        let own = || std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        let path = told.filter(|name| !name.is_empty()).or_else(own);
        // A command line may follow the path.
        let name = path.as_deref().and_then(|path| {
            let program = path.split_whitespace().next()?;
            program.rsplit('/').next()
        });
        name.unwrap_or("?").to_owned()
    }
}

/// A driver that keeps no list has none to show; one that has lost the device says so.
fn told(list: Result<Vec<ProcessInfo>, NvmlError>) -> Result<Vec<ProcessInfo>, NvmlError> {
    match list {
        Err(NvmlError::GpuLost) => Err(NvmlError::GpuLost),
        list => Ok(list.unwrap_or_default()),
    }
}

fn memory(process: &ProcessInfo) -> Option<u64> {
    match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    }
}

impl fmt::Display for GpuProcess {
    /// `process 1234 (python, 60.2 GiB)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({}", self.pid, self.name)?;
        if let Some(bytes) = self.memory_bytes {
            write!(f, ", {}", Bytes(bytes))?;
        }
        f.write_str(")")
    }
}
