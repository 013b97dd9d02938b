//! A deadline that comes again and again.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::Sleep;
use crate::sched::budget;

/// Ticks at once and then every `period`.
///
/// ```
/// use std::time::Duration;
/// use treescope::time;
///
/// treescope::block_on(async |_| {
///     let mut interval = time::interval(Duration::from_millis(1));
///     let first = interval.tick().await;
///     assert_eq!(interval.tick().await, first + Duration::from_millis(1));
/// });
/// ```
///
/// # Panics
///
/// When `period` is zero.
pub fn interval(period: Duration) -> Interval {
    Interval::new(Some(super::now()), period)
}

/// Ticks at `start` and then every `period`.
///
/// # Panics
///
/// When `period` is zero.
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Interval::new(Some(start), period)
}

/// What an interval does about ticks whose time passed before they were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Gives them one after another without waiting, until it has caught up.
    #[default]
    Burst,
    /// Gives one, and counts the period anew from when it was asked for.
    Delay,
    /// Gives one, and goes on with the next that lies ahead; ticks stay multiples of the period apart.
    Skip,
}

/// Ticks that lie one period apart; see [`interval`].
///
/// # Panics
///
/// When first polled outside a runtime.
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    behavior: MissedTickBehavior,
}

impl Interval {
    fn new(start: Option<Instant>, period: Duration) -> Self {
        Self::with(Sleep::new(start), period)
    }

    pub(super) fn with(sleep: Sleep, period: Duration) -> Self {
        assert!(!period.is_zero(), "the period of an interval must not be zero");
        Self { sleep, period, behavior: MissedTickBehavior::default() }
    }

    /// Waits for the next tick and returns the instant it was due at. Dropping the wait loses no tick.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// [`tick`](Self::tick) for hand-written futures.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(budget::poll_spending(cx, |cx| self.sleep.poll_elapsed(cx)));
        // A sleep that elapsed had a deadline.
        let Some(due) = self.sleep.deadline() else { return Poll::Pending };
        self.sleep.set(self.next(due, self.sleep.now()));
        Poll::Ready(due)
    }

    fn next(&self, due: Instant, now: Instant) -> Option<Instant> {
        match self.behavior {
            MissedTickBehavior::Burst => due.checked_add(self.period),
            MissedTickBehavior::Delay => now.checked_add(self.period),
            MissedTickBehavior::Skip => {
                let late = now.saturating_duration_since(due).as_nanos() % self.period.as_nanos();
                // Less than a period, and a period is a `Duration`; nanoseconds of one may exceed a `u64`.
                let nanos_per_sec = 1_000_000_000;
                let late = Duration::new((late / nanos_per_sec) as u64, (late % nanos_per_sec) as u32);
                now.max(due).checked_add(self.period - late)
            }
        }
    }

    /// Counts the period anew from now.
    pub fn reset(&mut self) {
        self.sleep.set(self.sleep.now().checked_add(self.period));
    }

    /// The time from tick to tick.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What happens to ticks that are missed.
    #[must_use]
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Sets what happens to ticks that are missed. [`Burst`](MissedTickBehavior::Burst) is the default.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }
}
