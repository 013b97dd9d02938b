//! An error that borrows a local of the body of its scope.

fn main() {
    treescope::block_on(async |root| {
        let failed = root
            .try_scope(async |_| {
                let local = String::from("local");
                Err::<(), &str>(&local)
            })
            .await;
        failed.unwrap_err();
    });
}
