//! The cooperative budget: an always-ready task yields.
//!
//! A future that is always ready (a socket that never runs dry, a channel that is never empty) would keep its worker
//! for good, for only a `Pending` gives it back. So each poll of a task starts with a share of [`Budget::FULL`] units,
//! each leaf operation of this crate takes one ([`poll_proceed`]), and when none is left the operation wakes the
//! task, puts it at the end of the woken lane, and reports `Pending` although it could go on.
//!
//! Futures from elsewhere (a plain loop, another crate's channel) take no units; only [`yield_now`] helps there.

use std::cell::Cell;
use std::future::Future;
use std::task::{Context, Poll};

use crate::context;

/// What is left of a poll's share.
#[derive(Debug)]
pub(crate) struct Budget(Cell<u32>);

impl Budget {
    /// Units per poll. Enough that the switch costs little against the work (a socket read is a system call), few
    /// enough that a worker changes tasks several times a millisecond.
    pub(crate) const FULL: u32 = 128;

    pub(crate) const fn new() -> Self {
        Self(Cell::new(Self::FULL))
    }

    pub(crate) fn replace(&self, units: u32) -> u32 {
        self.0.replace(units)
    }
}

/// Gives the poll that begins its full share.
#[inline]
pub(crate) fn refill() {
    context::with_budget(|budget| budget.0.set(Budget::FULL));
}

/// Takes one unit. `Pending` if none is left; the task has been woken then and goes on in its next poll.
///
/// A leaf future calls it once per operation that may succeed, before trying it.
#[inline]
pub(crate) fn poll_proceed(cx: &mut Context<'_>) -> Poll<()> {
    let proceed = context::with_budget(|budget| {
        let left = budget.0.get();
        budget.0.set(left.saturating_sub(1));
        left > 0
    });
    if proceed {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Gives the worker to others that are ready, once.
///
/// The task goes to the end of its worker's woken lane.
///
/// ```
/// treescope::block_on(async |scope| {
///     scope.spawn(async {
///         for _ in 0..3 {
///             treescope::yield_now().await;
///         }
///     });
/// });
/// ```
pub fn yield_now() -> impl Future<Output = ()> + Send {
    futures_lite::future::yield_now()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn a_spent_budget_reports_pending_until_the_next_poll() {
        refill();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..Budget::FULL {
            assert!(poll_proceed(&mut cx).is_ready());
        }
        assert!(poll_proceed(&mut cx).is_pending());
        assert!(poll_proceed(&mut cx).is_pending(), "still spent");
        refill();
        assert!(poll_proceed(&mut cx).is_ready());
    }
}
