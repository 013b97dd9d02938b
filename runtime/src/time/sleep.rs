//! One deadline as a future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::context;
use crate::driver::{Driver, Key};
use crate::sched::budget;
use crate::sync::Arc;

/// Completes `duration` after this call.
///
/// [`Duration::MAX`] and its like never complete. Other properties: [module](crate::time).
///
/// ```
/// use std::time::Duration;
/// use treescope::time;
///
/// treescope::block_on(async |_| {
///     let start = time::now();
///     time::sleep(Duration::from_millis(2)).await;
///     assert!(time::now() - start >= Duration::from_millis(2));
/// });
/// ```
#[must_use = "a future does nothing unless it is awaited"]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(super::after(duration))
}

/// Completes at `deadline`, at once if it has passed.
#[must_use = "a future does nothing unless it is awaited"]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(Some(deadline))
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// It is armed by its first poll and disarmed by its drop. Polled after completion it is still complete, until
/// it is [reset](Self::reset).
///
/// # Panics
///
/// When first polled outside a runtime.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    /// None: never.
    deadline: Option<Instant>,
    elapsed: bool,
    /// The driver that serves it, from the first poll on.
    driver: Option<Arc<Driver>>,
    /// Its timer, while one is armed.
    timer: Option<Key>,
}

impl Sleep {
    pub(super) fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, elapsed: false, driver: None, timer: None }
    }

    /// A sleep on a driver of the caller's choice.
    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(crate) fn on(driver: &Arc<Driver>, deadline: Option<Instant>) -> Self {
        Self { driver: Some(driver.clone()), ..Self::new(deadline) }
    }

    /// When it completes. None: never.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether it has completed, as far as its last poll knew.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.elapsed
    }

    /// Moves the deadline. A task that waits for the old one is woken at the new one. After completion the sleep
    /// has to be polled again to be armed.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.get_mut().set(Some(deadline));
    }

    pub(super) fn set(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
        self.elapsed = false;
        let Some((driver, timer)) = self.armed() else { return };
        let moved = match deadline {
            Some(deadline) => driver.rearm(timer, deadline),
            None => {
                driver.cancel(timer);
                false
            }
        };
        if !moved {
            // It fired meanwhile, which wakes the task for nothing, or never will; the next poll arms it anew.
            self.timer = None;
        }
    }

    /// The present instant on the clock that decides about this sleep.
    pub(super) fn now(&self) -> Instant {
        self.driver.as_ref().map_or_else(super::now, |driver| driver.clock().now())
    }

    fn armed(&self) -> Option<(&Arc<Driver>, Key)> {
        self.driver.as_ref().zip(self.timer)
    }

    /// The poll without the cooperative budget, for futures that have charged it to another part of theirs.
    pub(super) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.elapsed {
            return Poll::Ready(());
        }
        // While it is armed the timer decides, not the clock: reading that costs more than the look-up.
        if let Some((driver, timer)) = self.armed() {
            if driver.refresh(timer, cx.waker()) {
                return Poll::Pending;
            }
            self.timer = None;
        }
        let driver = self.driver.get_or_insert_with(current_driver);
        let Some(deadline) = self.deadline else { return Poll::Pending };
        if driver.clock().now() >= deadline {
            self.elapsed = true;
            return Poll::Ready(());
        }
        self.timer = driver.arm(deadline, cx.waker());
        Poll::Pending
    }
}

#[track_caller]
fn current_driver() -> Arc<Driver> {
    context::with_driver(Arc::clone).unwrap_or_else(|| {
        panic!(
            "a timer was polled outside a runtime: no treescope runtime serves this thread; \
             await it inside `treescope::block_on` or `Runtime::block_on`"
        )
    })
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(budget::poll_proceed(cx));
        self.poll_elapsed(cx)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((driver, timer)) = self.armed() {
            driver.cancel(timer);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deadline, elapsed, driver: _, timer: _ } = self;
        f.debug_struct("Sleep").field("deadline", deadline).field("elapsed", elapsed).finish_non_exhaustive()
    }
}
