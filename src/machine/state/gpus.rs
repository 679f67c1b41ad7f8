//! GPUs while a repeat runs. In: NVML, looked at now and then. Out: the columns of their state, and which
//! processes use which GPU. Where there is no NVML, or it does not tell, everything stays empty.

use super::{mean, readings};
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use std::collections::{BTreeMap, BTreeSet};

/// The GPUs of a repeat while its steps went on; empty or none on a CPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpuState {
    /// Of their multiprocessors: the mean over GPUs and looks.
    pub clock_megahertz: Option<f64>,
    /// The highest of any.
    pub temperature_celsius: Option<f64>,
    /// Drawn by one GPU: the mean over GPUs and looks.
    pub power_watts: Option<f64>,
    /// What held a clock down, in words such as `sw-power-cap`, with spaces between.
    pub throttle_reasons: String,
    /// Processes on them that are not the repeat's; none where lists of processes are hidden.
    pub other_processes: Option<u64>,
}

/// Why NVML says that clocks are lower than they might be, in its own words. That a GPU is idle or has
/// clocks that its owner has set is no reason.
const REASONS: [(ThrottleReasons, &str); 7] = [
    (ThrottleReasons::SW_POWER_CAP, "sw-power-cap"),
    (ThrottleReasons::HW_SLOWDOWN, HW_SLOWDOWN),
    (ThrottleReasons::SYNC_BOOST, "sync-boost"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, SW_THERMAL),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, HW_THERMAL),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, POWER_BRAKE),
    (
        ThrottleReasons::DISPLAY_CLOCK_SETTING,
        "display-clock-setting",
    ),
];

const HW_SLOWDOWN: &str = "hw-slowdown";
const SW_THERMAL: &str = "sw-thermal-slowdown";
const HW_THERMAL: &str = "hw-thermal-slowdown";
const POWER_BRAKE: &str = "hw-power-brake-slowdown";

/// Those that a GPU does not have by itself at full load: reaching its power cap is normal.
pub const ABNORMAL: [&str; 4] = [HW_SLOWDOWN, SW_THERMAL, HW_THERMAL, POWER_BRAKE];

/// The processes that NVML lists for one GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub uuid: String,
    pub processes: Vec<Process>,
}

/// One process on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub number: u32,
    /// Its process group; none where this machine knows no process of that number, as in a container
    /// that numbers processes otherwise than NVML does.
    pub group: Option<i32>,
}

/// NVML, opened once for many repeats; or nothing.
#[derive(Debug, Default)]
pub struct Sensors(Option<Nvml>);

impl Sensors {
    /// Nothing where there is no NVML.
    pub fn open() -> Self {
        Self(Nvml::init().ok())
    }
}

/// What one look at one GPU shows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Look {
    clock_megahertz: Option<f64>,
    temperature_celsius: Option<f64>,
    power_watts: Option<f64>,
    throttled: Option<ThrottleReasons>,
}

/// Looks at the GPUs of one repeat.
#[derive(Debug)]
pub struct GpuWatch<'a> {
    sensors: &'a Sensors,
    uuids: Vec<String>,
    looks: Vec<Look>,
    /// The groups of all processes that any look has shown, by GPU and number.
    listed: BTreeMap<String, BTreeMap<u32, Option<i32>>>,
}

impl<'a> GpuWatch<'a> {
    /// Of the GPUs of these UUIDs; it sees nothing where there are none.
    pub fn new(sensors: &'a Sensors, uuids: Vec<String>) -> Self {
        Self {
            sensors,
            uuids,
            looks: Vec::new(),
            listed: BTreeMap::new(),
        }
    }

    /// True until the first look at GPUs, where there are some.
    pub fn is_blind(&self) -> bool {
        !self.uuids.is_empty() && self.looks.is_empty()
    }

    /// Looks once at clocks and all else that changes while steps go on, and at processes.
    pub fn look(&mut self) {
        let Some(nvml) = self.nvml() else { return };
        let devices = self.uuids.iter();
        let devices = devices.filter_map(|uuid| nvml.device_by_uuid(uuid.as_str()).ok());
        self.looks.extend(devices.map(|device| look_at(&device)));
        self.list();
    }

    /// Looks once at which processes use GPUs.
    pub fn list(&mut self) {
        if let Some(nvml) = self.nvml() {
            self.note(listings(nvml));
        }
    }

    /// None where there is nothing to look at.
    fn nvml(&self) -> Option<&'a Nvml> {
        self.sensors.0.as_ref().filter(|_| !self.uuids.is_empty())
    }

    /// Processes that came and went are remembered, and the group that they had while they ran.
    fn note(&mut self, listings: Vec<Listing>) {
        for listing in listings {
            let of_gpu = self.listed.entry(listing.uuid).or_default();
            for process in listing.processes {
                let group = of_gpu.entry(process.number).or_default();
                *group = process.group.or(*group);
            }
        }
    }

    /// What all looks have shown. `groups` are the process groups of the repeat.
    pub fn end(self, groups: &[i32]) -> (GpuState, Vec<Listing>) {
        let values = |of: fn(&Look) -> Option<f64>| -> Vec<f64> {
            self.looks.iter().filter_map(of).collect()
        };
        let held = self.looks.iter().filter_map(|look| look.throttled);
        let held = held.fold(ThrottleReasons::empty(), |all, one| all | one);
        let reasons = REASONS.iter().filter(|(reason, _)| held.contains(*reason));
        let state = GpuState {
            clock_megahertz: mean(&values(|look| look.clock_megahertz)),
            temperature_celsius: values(|look| look.temperature_celsius)
                .into_iter()
                .reduce(f64::max),
            power_watts: mean(&values(|look| look.power_watts)),
            throttle_reasons: Vec::from_iter(reasons.map(|(_, word)| *word)).join(" "),
            other_processes: self.others(groups),
        };
        let listing = |(uuid, processes): (String, BTreeMap<u32, Option<i32>>)| Listing {
            uuid,
            processes: processes
                .into_iter()
                .map(|(number, group)| Process { number, group })
                .collect(),
        };
        (state, self.listed.into_iter().map(listing).collect())
    }

    /// How many processes of other groups the GPUs of the repeat had. Lists that show none of its own
    /// processes are not to be believed.
    fn others(&self, groups: &[i32]) -> Option<u64> {
        let is_own = |group: &Option<i32>| group.is_some_and(|group| groups.contains(&group));
        let mut all = self.listed.values().flat_map(BTreeMap::values);
        if !all.any(is_own) {
            return None;
        }
        let used = self.uuids.iter().filter_map(|uuid| self.listed.get(uuid));
        let others = used.flatten().filter(|(_, group)| !is_own(group));
        let numbers: BTreeSet<&u32> = others.map(|(number, _)| number).collect();
        Some(numbers.len() as u64)
    }
}

fn look_at(device: &Device) -> Look {
    let number = |value: Result<u32, NvmlError>| value.ok().map(f64::from);
    Look {
        clock_megahertz: number(device.clock_info(Clock::SM)),
        temperature_celsius: number(device.temperature(TemperatureSensor::Gpu)),
        power_watts: number(device.power_usage()).map(|milliwatts| milliwatts / 1000.0),
        throttled: device.current_throttle_reasons().ok(),
    }
}

/// The processes that compute on each GPU of the machine, so that one on a wrong GPU shows too. One that does not
/// tell hides no other.
fn listings(nvml: &Nvml) -> Vec<Listing> {
    let listing = |index| -> Result<Listing, NvmlError> {
        let device = nvml.device_by_index(index)?;
        let listed = device.running_compute_processes()?;
        let process = |number| Process {
            number,
            group: readings::process_group(number),
        };
        Ok(Listing {
            uuid: device.uuid()?,
            processes: listed.iter().map(|info| process(info.pid)).collect(),
        })
    };
    let count = nvml.device_count().unwrap_or_default();
    (0..count).filter_map(|index| listing(index).ok()).collect()
}

#[cfg(test)]
mod tests;
