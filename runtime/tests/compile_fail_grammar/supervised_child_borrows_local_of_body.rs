//! A supervised child that borrows a local of the body.

fn main() {
    treescope::block_on(async |root| {
        root.supervise(async |scope| {
            let local = String::from("local");
            scope.spawn(async { local.len() }).await.unwrap()
        })
        .await;
    });
}
