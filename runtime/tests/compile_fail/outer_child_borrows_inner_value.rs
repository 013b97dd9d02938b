//! A child of the outer scope that borrows a value of the inner one.

fn main() {
    treescope::block_on(async |outer| {
        outer
            .scope(async |inner| {
                let value = &*inner.alloc(1);
                outer.spawn(async move { assert_eq!(*value, 1) });
            })
            .await;
    });
}
