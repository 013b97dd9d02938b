//! A child of the outer scope that spawns on the inner one, which may be gone by then.

fn main() {
    treescope::block_on(async |outer| {
        outer
            .scope(async |inner| {
                outer.spawn(async move {
                    inner.spawn(async {});
                });
            })
            .await;
    });
}
