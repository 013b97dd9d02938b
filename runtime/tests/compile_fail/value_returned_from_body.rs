//! A reference to a scope's value escapes as the body's value.

fn main() {
    treescope::block_on(async |scope| scope.scope(async |inner| &*inner.alloc(1)).await);
}
