//! What the process has used so far, as the kernel counts it.

use rustix::time::{ClockId, clock_gettime};

/// Processor time of all threads, user and system, in seconds.
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Largest resident set so far in bytes; zero where `/proc` does not tell.
pub fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kilobytes| kilobytes.parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_time_and_memory() {
        let before = cpu_seconds();
        let block: Vec<u8> = (0..8 << 20).map(|i| i as u8).collect();
        assert!(block.iter().map(|byte| u64::from(*byte)).sum::<u64>() > 0);
        assert!(cpu_seconds() > before);
        assert!(peak_memory_bytes() > 8 << 20);
    }
}
