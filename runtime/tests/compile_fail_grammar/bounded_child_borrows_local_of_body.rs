//! A child of a bounded scope that borrows a local of the body.

fn main() {
    treescope::block_on(async |root| {
        root.bounded(1, async |scope| {
            let local = String::from("local");
            scope.spawn(async { local.len() }).await.await
        })
        .await;
    });
}
