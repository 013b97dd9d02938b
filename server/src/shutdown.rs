//! Ending in order: what is queued is delivered, for so long and no longer.

use futures_lite::future;
use treescope::time::timeout;

use crate::router::Router;

/// Delivers what is queued, for at most the limits' `grace` or until `stop` comes again, and tells every
/// connection to end. Nobody accepts any more. When this returns connections are ending; the scope
/// that they live in waits until they have ended.
///
/// Readers stop at once; what they have read they deliver, waiting for full receivers where they must.
/// When the last one has ended nothing more can be queued, and each writer ends when it has written
/// what there is.
pub async fn deliver(router: &Router, mut stop: impl AsyncFnMut()) {
    let delivered = async {
        router.stop_reading();
        router.until(|count| count.reading == 0).await;
        router.finish();
        router.until(|count| count.live == 0).await;
    };
    let in_time = async { timeout(router.limits().grace, delivered).await.is_ok() };
    let stopped_again = async {
        stop().await;
        false
    };
    if !future::or(in_time, stopped_again).await {
        tracing::warn!(queued = router.queued_bytes(), "what is still queued is dropped");
        router.close();
    }
}
