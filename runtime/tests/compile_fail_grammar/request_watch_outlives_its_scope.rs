//! A wait for a request that leaves its scope.

fn main() {
    treescope::block_on(async |root| {
        let cancelled = root.scope(async |scope| scope.cancelled()).await;
        cancelled.await;
    });
}
