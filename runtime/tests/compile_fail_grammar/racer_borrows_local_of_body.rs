//! A racer that borrows a local of the body.

fn main() {
    treescope::block_on(async |root| {
        root.scope(async |scope| {
            let local = String::from("local");
            scope.race([async { local.len() }]).await
        })
        .await;
    });
}
