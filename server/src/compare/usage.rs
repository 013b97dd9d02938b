//! What a process has used, as `/proc` tells it.

use std::fs;
use std::time::Duration;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Processor time of all threads, in user code and in the kernel.
    pub(super) cpu: Duration,
    /// How often its threads gave up a processor or lost it.
    pub(super) switches: u64,
    /// Memory in use now, in bytes.
    pub(super) resident: u64,
}

impl Usage {
    /// That of a process that runs; `None` where there is no `/proc`, or the process has ended.
    ///
    /// Processor time is what `/proc/PID/stat` calls `utime + stime`, but from each thread's `schedstat` where
    /// there is one: in ns, and not in ticks of 10 ms. Switches are each thread's own; `/proc/PID/status` has
    /// only those of the first.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let process = format!("/proc/{pid}");
        let status = fs::read_to_string(format!("{process}/status")).ok()?;
        let resident = 1024 * field(&status, "VmRSS:")?;
        let (mut fine, mut switches) = (Some(0), 0);
        for task in fs::read_dir(format!("{process}/task")).ok()?.flatten() {
            // A thread may end meanwhile.
            let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
            switches += field(&status, "voluntary_ctxt_switches:").unwrap_or(0)
                + field(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
            let spent = fs::read_to_string(task.path().join("schedstat")).ok();
            let spent = spent.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
            fine = fine.zip(spent).map(|(sum, spent)| sum + spent);
        }
        let cpu = match fine {
            Some(ns) if ns > 0 => Duration::from_nanos(ns),
            _ => ticks(&fs::read_to_string(format!("{process}/stat")).ok()?)?,
        };
        Some(Usage { cpu, switches, resident })
    }

    /// The most memory that a process has had in use so far, in bytes.
    pub(super) fn peak(pid: u32) -> Option<u64> {
        Some(1024 * field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmHWM:")?)
    }

    /// What was used between `before` and this.
    pub(super) fn since(self, before: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(before.cpu),
            switches: self.switches.saturating_sub(before.switches),
            resident: self.resident.saturating_sub(before.resident),
        }
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of `/proc/PID/stat`, in ticks, of which Linux shows 100 a second whatever it counts in. The second
/// field, in parentheses, may contain anything.
fn ticks(stat: &str) -> Option<Duration> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(10 * ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_after_any_name() {
        let stat = "77 (a ) b) S 1 77 77 0 -1 4194560 149 0 0 0 250 50 0 0 20 0 1 0 99 1 1";
        assert_eq!(ticks(stat), Some(Duration::from_secs(3)));
        assert_eq!(ticks("77"), None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status =
            "Name:\tx\nVmRSS:\t    5632 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(field(status, "VmRSS:"), Some(5632));
        assert_eq!(field(status, "voluntary_ctxt_switches:"), Some(7));
        assert_eq!(field(status, "VmHWM:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_of_this_process_is_seen() {
        let before = Usage::of(std::process::id()).unwrap();
        assert!(before.resident > 0);
        assert!(Usage::peak(std::process::id()).unwrap() >= before.resident);
        while Usage::of(std::process::id()).unwrap().since(before).cpu < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
