//! What a scope does for its tasks, put together for tokio: to stop them, to wait for them, to abort them.

use std::future::Future;

use futures_lite::future;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::router::Router;
use crate::runtimes::{Platform, Tokio};
use crate::shutdown::Stop;

/// The tasks of a server on tokio.
///
/// A [`TaskTracker`] rather than tokio's `JoinSet`, which keeps every task that has ended until somebody asks for
/// its result: a server that only accepts would grow for ever.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl Tasks {
    /// Starts a task. If it panics nobody hears of it but the panic hook.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let abort = self.abort.clone();
        self.tracker.spawn(async move {
            abort.run_until_cancelled_owned(future).await;
        });
    }

    /// Is ready when the tasks are asked to stop.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stop.clone().cancelled_owned()
    }

    /// As [`shutdown::deliver`](crate::shutdown::deliver): asks the tasks to stop, and aborts those that have not
    /// ended after the limits' `grace` or when `stop` tells so again.
    pub(super) async fn deliver(self, router: &Router, mut stop: impl Stop) {
        self.stop.cancel();
        self.tracker.close();
        let delivered = async {
            router.until(|count| count.reading == 0).await;
            router.finish();
            self.tracker.wait().await;
        };
        let out_of_time = future::or(stop.told(), Tokio::sleep(router.limits().grace));
        future::or(delivered, out_of_time).await;
        self.abort.cancel();
        self.tracker.wait().await;
    }
}
