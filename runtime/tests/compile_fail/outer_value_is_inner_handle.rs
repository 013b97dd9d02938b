//! A handle of the inner scope given to the outer one as a value.

fn main() {
    treescope::block_on(async |outer| {
        outer
            .scope(async |inner| {
                outer.alloc(inner.spawn(async { 1 }));
            })
            .await;
    });
}
