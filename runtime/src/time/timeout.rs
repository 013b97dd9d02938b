//! A future that may not take longer than so long.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project::pin_project;

use super::Sleep;

/// Gives the output of `future`, or [`Elapsed`] if it is not there within `duration` from this call.
///
/// The future is polled before the clock is looked at: one that is ready wins against any deadline. When the
/// time is over the future is no longer polled; it is dropped with the timeout.
///
/// ```
/// use std::time::Duration;
/// use treescope::time::timeout;
///
/// treescope::block_on(async |_| {
///     assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
///     assert!(timeout(Duration::from_millis(1), std::future::pending::<()>()).await.is_err());
/// });
/// ```
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: Sleep::new(super::after(duration)) }
}

/// As [`timeout`], with a deadline.
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future, sleep: Sleep::new(Some(deadline)) }
}

/// The future of [`timeout`] and [`timeout_at`].
///
/// # Panics
///
/// When polled outside a runtime while its inner future is not ready.
#[pin_project]
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Timeout<F> {
    #[pin]
    pub(super) future: F,
    pub(super) sleep: Sleep,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // Not charged to the budget: a future that used it all up would keep its own deadline from being seen.
        this.sleep.poll_elapsed(cx).map(|()| Err(Elapsed(())))
    }
}

/// The deadline passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}
