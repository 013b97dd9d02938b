//! An error outlives its scope, and so borrows nothing of it.

fn main() {
    treescope::block_on(async |scope| {
        scope
            .try_scope(async |scope| {
                let text: &str = scope.alloc(String::from("error"));
                scope.spawn(async move { Err::<(), &str>(text) });
                Ok(())
            })
            .await
            .unwrap_err();
    });
}
