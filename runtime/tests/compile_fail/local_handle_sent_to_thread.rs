//! The handle of a local child goes to another thread only if its value may.

use std::rc::Rc;

fn sent<T: Send>(_: T) {}

fn main() {
    treescope::local::block_on(async |scope| {
        sent(scope.spawn(async { Rc::new(1) }));
    });
}
