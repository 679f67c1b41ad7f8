//! GPUs through NVML, the library that comes with NVIDIA's driver. It is loaded at run time, so
//! that a machine without a driver is a normal case and not an error.

use super::Gpu;
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// All GPUs in NVML's order; or why there are none, in NVML's words.
pub fn detect() -> Result<Vec<Gpu>, String> {
    let gpus = query().map_err(|error| error.to_string())?;
    if gpus.is_empty() {
        return Err("NVML sees no device".to_owned());
    }
    Ok(gpus)
}

fn query() -> Result<Vec<Gpu>, NvmlError> {
    let nvml = Nvml::init()?;
    let driver = nvml.sys_driver_version()?;
    let describe = |index| {
        let device = nvml.device_by_index(index)?;
        Ok(Gpu {
            uuid: device.uuid()?,
            name: device.name()?,
            memory_bytes: device.memory_info()?.total,
            driver: driver.clone(),
        })
    };
    (0..nvml.device_count()?).map(describe).collect()
}
