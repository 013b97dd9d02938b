//! Ending in order: what is queued is delivered, for so long and no longer.

use std::future::Future;

use futures_lite::future;
use treescope::Scope;

use crate::router::Router;

/// Tells a server when to stop.
pub trait Stop: Send {
    /// Returns when the server is to stop, and when called once more, when it is to stop at once.
    fn told(&mut self) -> impl Future<Output = ()> + Send;
}

/// Never stops a server by itself: for one that is stopped from elsewhere, with its process say.
#[derive(Clone, Copy, Debug)]
pub struct Never;

impl Stop for Never {
    fn told(&mut self) -> impl Future<Output = ()> + Send {
        future::pending()
    }
}

/// Requests every connection of `server` to end, and aborts those that have not after the limits' `grace`, or
/// when `stop` tells so again. Nobody accepts any more.
///
/// Readers end at the request; what they have read they deliver, waiting for full receivers where they must.
/// When the last one has ended nothing more can be queued, and each writer ends when it has written
/// what there is.
pub async fn deliver(server: &Scope<'_, '_>, router: &Router, mut stop: impl Stop) {
    server.cancel_because(router.limits().grace, "the server was told to stop");
    let delivered = async {
        router.until(|count| count.reading == 0).await;
        router.finish();
        router.until(|count| count.live == 0).await;
    };
    let stopped_again = async {
        stop.told().await;
        server.abort_children();
    };
    future::or(delivered, stopped_again).await;
}

/// Says how it went. For a `defer` of the server's scope: everything else has ended.
pub async fn goodbye(router: &Router, discarded_before: u64) {
    match router.stats().discarded.get() - discarded_before {
        0 => tracing::info!("everything was delivered"),
        bytes => tracing::warn!(bytes, "what was still queued is dropped"),
    }
}
