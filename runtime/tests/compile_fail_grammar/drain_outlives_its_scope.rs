//! The future of a drain that leaves its scope.

use std::time::Duration;

fn main() {
    treescope::block_on(async |root| {
        let drain = root.scope(async |scope| Box::pin(scope.drain(Duration::from_secs(1)))).await;
        drain.await.unwrap();
    });
}
