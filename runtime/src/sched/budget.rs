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

/// What is left of a poll's share: positive units, or, below zero, how often an operation has been refused.
#[derive(Debug)]
pub(crate) struct Budget(Cell<i32>);

impl Budget {
    /// Units per poll. Enough that the switch costs little against the work (a socket read is a system call), few
    /// enough that a worker changes tasks several times a millisecond.
    pub(crate) const FULL: i32 = 128;
    /// Refusals per poll. Whoever polls on after so many does not give control back: a `block_on` from elsewhere
    /// inside a task, say, which would otherwise turn for ever. It gets a new share.
    const PATIENCE: i32 = 1024;
    /// Threads that run no tasks have no share: nobody would refill it.
    const UNLIMITED: i32 = i32::MAX;

    pub(crate) const fn new() -> Self {
        Self(Cell::new(Self::UNLIMITED))
    }

    pub(crate) fn replace(&self, units: i32) -> i32 {
        self.0.replace(units)
    }

    /// Takes one unit; `false` if none is left.
    #[inline]
    fn take(&self) -> bool {
        match self.0.get() {
            Self::UNLIMITED => true,
            left if left > 0 => {
                self.0.set(left - 1);
                true
            }
            refused if refused > -Self::PATIENCE => {
                self.0.set(refused - 1);
                false
            }
            _ => {
                self.0.set(Self::FULL - 1);
                true
            }
        }
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
    if context::with_budget(Budget::take) {
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

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_refuses_until_the_next_poll() {
        let budget = Budget::new();
        budget.replace(Budget::FULL);
        assert!((0..Budget::FULL).all(|_| budget.take()));
        assert!(!budget.take());
        assert!(!budget.take(), "still spent");
        budget.replace(Budget::FULL);
        assert!(budget.take());
    }

    #[test]
    fn a_poll_that_never_ends_is_refused_only_so_often() {
        let budget = Budget::new();
        budget.replace(0);
        assert!((0..Budget::PATIENCE).all(|_| !budget.take()));
        assert!(budget.take());
    }

    #[test]
    fn a_thread_that_runs_no_tasks_has_no_limit() {
        let budget = Budget::new();
        assert!((0..10 * Budget::FULL).all(|_| budget.take()));
    }
}
