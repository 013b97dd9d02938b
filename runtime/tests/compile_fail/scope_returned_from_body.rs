//! The scope itself escapes as the body's value.

fn main() {
    treescope::block_on(async |scope| {
        scope.scope(async |inner| inner).await;
    });
}
