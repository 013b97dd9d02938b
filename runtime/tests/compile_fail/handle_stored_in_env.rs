//! A handle stored in a lock below the root.

use std::sync::Mutex;

fn main() {
    let slot = Mutex::new(None);
    treescope::block_on(async |scope| {
        *slot.lock().unwrap() = Some(scope.spawn(async { 1 }));
    });
    drop(slot);
}
