//! The handle of a supervised child that leaves its scope.

fn main() {
    treescope::block_on(async |root| {
        let handle = root.supervise(async |scope| scope.spawn(async { 1 })).await;
        handle.await.unwrap();
    });
}
