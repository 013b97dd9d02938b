//! A deferred future that borrows a local of the body, which is dropped before it runs.

use std::time::Duration;

fn main() {
    treescope::block_on(async |root| {
        root.scope(async |scope| {
            let local = String::from("local");
            scope.defer(Duration::from_secs(1), async { println!("{local}") });
        })
        .await;
    });
}
