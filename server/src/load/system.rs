//! What the generator asks the system about itself.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread so far.
pub fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How long this thread was ready to run and had no processor; `None` where the system does not say.
pub fn thread_waited() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().nth(1)?.parse().ok()?))
}

/// What this thread has used and would have used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) waited: Duration,
}

impl Usage {
    pub(super) fn now() -> Self {
        Usage { cpu: thread_cpu(), waited: thread_waited().unwrap_or_default() }
    }

    pub(super) fn until_now(self) -> Self {
        let Usage { cpu, waited } = Usage::now();
        Usage { cpu: cpu.saturating_sub(self.cpu), waited: waited.saturating_sub(self.waited) }
    }
}

/// Raises the limit of open files, which children inherit, as far as the system lets it; gives how many there
/// may be now.
pub fn allow_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let before = limit.current;
        limit.current = limit.maximum;
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit.current = before;
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

/// The processors that this thread may use.
#[cfg(target_os = "linux")]
pub fn processors() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect()
}

/// Numbers in ascending order as people write them: `0-3, 7`.
pub(super) fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|&one, &next| next == one + 1);
    let run = |run: &[usize]| match *run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run.iter().map(usize::to_string).collect(),
    };
    runs.map(run).collect::<Vec<_>>().join(", ")
}

/// Keeps this thread, and the threads and processes it starts, to these processors.
///
/// # Errors
///
/// The system's, for a processor that there is not; always where it cannot be asked.
#[cfg(target_os = "linux")]
pub fn keep_to(processors: &[usize]) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    for &processor in processors {
        if processor >= CpuSet::MAX_CPU {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        set.set(processor);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// See there.
#[cfg(not(target_os = "linux"))]
pub fn processors() -> Vec<usize> {
    Vec::new()
}

/// See there.
#[cfg(not(target_os = "linux"))]
pub fn keep_to(_: &[usize]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(ranges(&[0, 1, 2, 3, 7]), "0-3, 7");
        assert_eq!(ranges(&[5]), "5");
        assert_eq!(ranges(&[]), "");
    }
}
