//! GPUs through NVML, the library that comes with NVIDIA's driver. It is loaded at run time, so
//! that a machine without a driver is a normal case and not an error. Out: what GPUs are here, and
//! [`occupancy`] of each. Knows no replica.

pub mod occupancy;
mod version;
mod visible;

pub use version::Version;

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use serde::Serialize;

/// One GPU as NVML describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// `GPU-` and 32 hexadecimal digits in five groups.
    pub uuid: String,
    pub name: String,
    pub memory_bytes: u64,
    pub driver: String,
    /// The newest CUDA that the driver runs.
    pub cuda_version: Option<Version>,
    pub compute_capability: Option<Version>,
    /// `00000000:3B:00.0`. GPUs are in this order, as CUDA counts them where it is told to.
    pub pci_bus_id: String,
    /// Whether MIG divides it into several that CUDA knows by UUIDs of their own.
    #[serde(skip)]
    pub is_divided: bool,
}

/// GPUs that this process may use.
#[derive(Debug)]
pub struct Found {
    /// At least one.
    pub gpus: Vec<Gpu>,
    /// Why not all that are here; empty where all.
    pub limit: String,
}

/// All usable GPUs in the order of their PCI buses; or why there are none, in NVML's words.
pub fn detect() -> Result<Found, String> {
    let mut lost = Vec::new();
    let mut gpus = Vec::new();
    for described in query().map_err(|error| error.to_string())? {
        match described {
            Ok(gpu) => gpus.push(gpu),
            Err(error) => lost.push(error.to_string()),
        }
    }
    gpus.sort_by(|a: &Gpu, b: &Gpu| a.pci_bus_id.cmp(&b.pci_bus_id));
    if gpus.is_empty() {
        let reason = lost.into_iter().next();
        return Err(reason.unwrap_or_else(|| "NVML sees no device".to_owned()));
    }
    let told = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let (gpus, limit) = visible::leave(gpus, told.as_deref());
    let (divided, gpus): (Vec<_>, Vec<_>) = gpus.into_iter().partition(|gpu| gpu.is_divided);
    let silent = lost.first().map(|error| silent(lost.len(), error));
    let limits = silent
        .into_iter()
        .chain([limit])
        .chain(divided.iter().map(parts));
    let limits: Vec<String> = limits.filter(|limit| !limit.is_empty()).collect();
    let limit = limits.join("; ");
    match gpus.is_empty() {
        true => Err(limit),
        false => Ok(Found { gpus, limit }),
    }
}

fn parts(gpu: &Gpu) -> String {
    format!(
        "{0} is divided by MIG, and xrun uses whole GPUs: `nvidia-smi -i {0} -mig 0` makes it one",
        gpu.uuid
    )
}

fn silent(count: usize, error: &str) -> String {
    format!("{count} that NVML cannot describe: {error}")
}

/// One entry for each GPU in NVML's order: a GPU that has fallen off its bus does not hide the others.
fn query() -> Result<Vec<Result<Gpu, NvmlError>>, NvmlError> {
    let nvml = Nvml::init()?;
    let driver = nvml.sys_driver_version()?;
    let cuda_version = nvml.sys_cuda_driver_version().ok();
    // 1000 times the major and 10 times the minor version.
    let cuda_version = cuda_version.map(|number| Version::new(number / 1000, number % 1000 / 10));
    let described = |index| {
        Ok(Gpu {
            driver: driver.clone(),
            cuda_version,
            ..describe(&nvml.device_by_index(index)?)?
        })
    };
    Ok((0..nvml.device_count()?).map(described).collect())
}

fn describe(device: &Device<'_>) -> Result<Gpu, NvmlError> {
    let capability = device.cuda_compute_capability().ok();
    Ok(Gpu {
        uuid: device.uuid()?,
        name: device.name()?,
        memory_bytes: device.memory_info()?.total,
        compute_capability: capability.map(|found| Version::new(found.major, found.minor)),
        pci_bus_id: device.pci_info()?.bus_id,
        // Most GPUs cannot be divided, and say that they do not know.
        is_divided: device.mig_mode().is_ok_and(|mode| mode.current != 0),
        ..Gpu::default()
    })
}
