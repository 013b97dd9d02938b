//! A future that still uses the scope escapes as the body's value.

fn main() {
    treescope::block_on(async |scope| {
        let later = scope
            .scope(async |inner| async move {
                inner.spawn(async {});
            })
            .await;
        later.await;
    });
}
