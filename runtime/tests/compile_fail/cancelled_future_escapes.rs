//! The wait for a cancel looks at its scope, and so goes no further.

fn main() {
    treescope::block_on(async |scope| {
        scope.scope(async |inner| inner.cancelled()).await.await;
    });
}
