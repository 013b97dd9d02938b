//! A handle escapes its scope as the body's value.

fn main() {
    treescope::block_on(async |scope| {
        scope.scope(async |inner| inner.spawn(async { 1 })).await;
    });
}
