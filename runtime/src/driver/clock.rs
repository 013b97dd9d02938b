//! What time it is: the system's monotonic clock, or one that moves only when told to.
//!
//! Inside the driver time is a *tick*: whole nanoseconds since the driver was made, in a `u64` (584 years).
//! A tick is one word to compare in the timers' heap; an `Instant` is two and cannot say "never".

use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU64, Ordering};

/// The tick that never comes.
pub(super) const NEVER: u64 = u64::MAX;

/// Which clock a driver has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockKind {
    /// `Instant::now()`.
    System,
    /// Starts at the instant the driver is made and stands still until a quiescent turn or
    /// [`Driver::advance`](super::Driver::advance) moves it.
    Virtual,
}

/// The driver's clock.
#[derive(Debug)]
pub(crate) struct Clock {
    base: Instant,
    /// Nanoseconds since `base`; none for the system's clock.
    offset: Option<AtomicU64>,
}

impl Clock {
    pub(super) fn new(kind: ClockKind) -> Self {
        let offset = match kind {
            ClockKind::System => None,
            ClockKind::Virtual => Some(AtomicU64::new(0)),
        };
        Self { base: Instant::now(), offset }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        self.offset.is_some()
    }

    /// The present instant.
    pub(crate) fn now(&self) -> Instant {
        match &self.offset {
            None => Instant::now(),
            // Relaxed: the clock orders nothing but itself; a turn that moves it wakes sleepers through the
            // timers' lock.
            Some(offset) => self.base + Duration::from_nanos(offset.load(Ordering::Relaxed)),
        }
    }

    /// The present tick.
    pub(super) fn tick(&self) -> u64 {
        match &self.offset {
            None => self.tick_of(Instant::now()),
            Some(offset) => offset.load(Ordering::Relaxed), // Relaxed: as in `now`.
        }
    }

    /// The tick of an instant: 0 for one before the driver was made, [`NEVER`] for one 584 years off.
    pub(super) fn tick_of(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.base).as_nanos()).unwrap_or(NEVER)
    }

    /// Moves a virtual clock forward by `duration`. The system's cannot be moved: false.
    pub(super) fn advance(&self, duration: Duration) -> bool {
        let Some(offset) = &self.offset else { return false };
        let by = u64::try_from(duration.as_nanos()).unwrap_or(NEVER);
        // Short of `NEVER`, so that the timers which never fire go on never firing. Relaxed: as in `now`.
        let moved = |tick: u64| Some(tick.saturating_add(by).min(NEVER - 1));
        offset.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved).is_ok()
    }

    /// Moves a virtual clock forward to `tick`, unless it is there already.
    pub(super) fn advance_to(&self, tick: u64) {
        if let Some(offset) = &self.offset {
            offset.fetch_max(tick, Ordering::Relaxed); // Relaxed: as in `now`.
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_moves_only_when_told() {
        let clock = Clock::new(ClockKind::Virtual);
        let start = clock.now();
        assert_eq!(clock.now(), start);
        assert!(clock.advance(Duration::from_nanos(7)));
        assert_eq!(clock.now(), start + Duration::from_nanos(7));
        clock.advance_to(3);
        assert_eq!(clock.tick(), 7);
    }

    #[test]
    fn no_advance_reaches_never_or_wraps() {
        let clock = Clock::new(ClockKind::Virtual);
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(clock.tick(), NEVER - 1);
        let _ = clock.now();
    }

    #[test]
    fn the_systems_clock_cannot_be_moved() {
        assert!(!Clock::new(ClockKind::System).advance(Duration::from_secs(1)));
    }
}
