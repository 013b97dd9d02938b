//! What the system says of this process.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Memory that is in use now; `None` where there is no `/proc`.
pub fn resident_bytes() -> Option<u64> {
    status("VmRSS:")
}

/// The most memory that was ever in use; `None` where there is no `/proc`.
pub fn peak_resident_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// Processor time of all threads so far, in user code and in the kernel.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn status(field: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn peak_memory_is_at_least_what_is_in_use() {
        let (now, peak) = (super::resident_bytes(), super::peak_resident_bytes());
        assert!(now > Some(0) && peak >= now, "{now:?} in use, {peak:?} at most");
    }

    #[test]
    fn processor_time_grows_with_work() {
        let before = super::cpu_time();
        while super::cpu_time() == before {
            std::hint::spin_loop();
        }
    }
}
