//! A reference to a scope's value in a thread-local.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<Option<&'static u32>> = const { Cell::new(None) };
}

fn main() {
    treescope::block_on(async |scope| KEPT.set(Some(scope.alloc(1))));
}
