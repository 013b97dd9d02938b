//! Waiting for a moment: [`sleep()`], [`timeout()`], [`interval()`].
//!
//! Instants are `std`'s [`Instant`], but they come from the clock of the runtime that a task runs in, which may
//! be a virtual one: ask [`now`], not [`Instant::now`], for an instant that is to be compared with a deadline.
//!
//! A timer fires never before its deadline, and on the system's clock up to a millisecond after it, the unit in
//! which kernels wait for I/O. Setting and cancelling one costs well under a microsecond, however many there are;
//! one that is dropped is gone at once. A deadline too far off for the clock (584 years, or past what an `Instant`
//! can say) is no error: it never comes.
//!
//! The runtime that serves a timer is the one in which it was first polled. It has to be some runtime: elsewhere
//! the poll panics. Once that runtime has ended, the timer never fires.

mod interval;
mod sleep;
mod timeout;

use std::time::{Duration, Instant};

pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

use crate::context;

/// The present instant on the clock of the runtime that this thread belongs to; outside a runtime, `std`'s.
#[must_use]
pub fn now() -> Instant {
    context::with_driver(|driver| driver.clock().now()).unwrap_or_else(Instant::now)
}

/// The instant `duration` from now. None: it is beyond what an `Instant` can say, and never comes.
fn after(duration: Duration) -> Option<Instant> {
    now().checked_add(duration)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
