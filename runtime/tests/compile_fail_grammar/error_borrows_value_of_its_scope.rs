//! An error that borrows a value which its own scope owns, and which is dropped before the error is returned.

fn main() {
    treescope::block_on(async |root| {
        let failed = root
            .try_scope(async |scope| {
                let value: &String = scope.alloc(String::from("value"));
                Err::<(), &str>(value)
            })
            .await;
        failed.unwrap_err();
    });
}
