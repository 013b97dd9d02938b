//! What the system says of this process.

use std::time::Duration;
use std::{fs, io};

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

/// The processors that this process may use, halved: for a server and for its client. Where there is only one, both
/// have it.
///
/// # Errors
/// What the system says; always where it cannot be asked.
#[cfg(target_os = "linux")]
pub fn halves() -> io::Result<(Vec<usize>, Vec<usize>)> {
    use rustix::thread::{CpuSet, sched_getaffinity};

    let allowed = sched_getaffinity(None)?;
    let all: Vec<_> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let (server, client) = all.split_at(all.len() / 2);
    Ok(if server.is_empty() { (all.clone(), all) } else { (server.to_vec(), client.to_vec()) })
}

/// Keeps this process, and the threads and processes it starts from now on, to these processors.
///
/// # Errors
/// What the system says; always where it cannot be asked.
#[cfg(target_os = "linux")]
pub fn keep_to(processors: &[usize]) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};

    let mut set = CpuSet::new();
    for &processor in processors {
        set.set(processor);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// See there.
#[cfg(not(target_os = "linux"))]
pub fn halves() -> io::Result<(Vec<usize>, Vec<usize>)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// See there.
#[cfg(not(target_os = "linux"))]
pub fn keep_to(_: &[usize]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Lets this process open as many files as it may.
///
/// # Errors
/// What the system says.
pub fn allow_many_files() -> io::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
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
