//! A reference to a scope's value stored in a lock below the root.

use std::sync::Mutex;

fn main() {
    let slot = Mutex::new(None);
    treescope::block_on(async |scope| {
        *slot.lock().unwrap() = Some(scope.alloc(1));
    });
    drop(slot);
}
