//! A child of the outer scope that awaits a handle of the inner one.

fn main() {
    treescope::block_on(async |outer| {
        outer
            .scope(async |inner| {
                let handle = inner.spawn(async { 1 });
                outer.spawn(async move { handle.await });
            })
            .await;
    });
}
