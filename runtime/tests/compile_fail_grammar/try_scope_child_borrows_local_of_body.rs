//! A child of a fallible scope that borrows a local of the body.

fn main() {
    treescope::block_on(async |root| {
        root.try_scope(async |scope| {
            let local = String::from("local");
            scope.spawn(async { Ok::<_, String>(local.len()) }).await;
            Ok(())
        })
        .await
        .unwrap();
    });
}
