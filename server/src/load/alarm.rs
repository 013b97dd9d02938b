//! Waking from a wait for events at a time that is finer than a millisecond, which is the resolution of the
//! timeout that `mio` hands to the system.

use std::io;
use std::time::{Duration, Instant};

use mio::{Registry, Token};

/// Wakes a poll at a given time.
#[derive(Debug)]
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: rustix::fd::OwnedFd,
    set: Option<Instant>,
}

#[cfg(target_os = "linux")]
impl Alarm {
    /// An alarm whose events have `token`.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use rustix::fd::AsRawFd;
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        registry.register(&mut mio::unix::SourceFd(&timer.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Alarm { timer, set: None })
    }

    /// Wakes the poll at `time`; gives the timeout to use beside it.
    pub(super) fn set(&mut self, time: Instant, now: Instant, timeout: Duration) -> io::Result<Duration> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        /// Sleeping and waking takes as long as this.
        const SOON: Duration = Duration::from_micros(20);
        let left = time.saturating_duration_since(now);
        if left <= SOON {
            return Ok(Duration::ZERO);
        }
        if left < timeout && self.set != Some(time) {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value =
                Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            // Setting it also makes it not ready, so it need not be read.
            let spec = Itimerspec { it_interval: zero, it_value: value };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
            self.set = Some(time);
        }
        Ok(timeout)
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    /// See there.
    pub(super) fn new(_: &Registry, _: Token) -> io::Result<Self> {
        Ok(Alarm { set: None })
    }

    /// To the millisecond before, and from there on without waiting.
    pub(super) fn set(&mut self, time: Instant, now: Instant, timeout: Duration) -> io::Result<Duration> {
        self.set = Some(time);
        let whole = time.saturating_duration_since(now).as_millis().saturating_sub(1);
        Ok(timeout.min(Duration::from_millis(whole as u64)))
    }
}
