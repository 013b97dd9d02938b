//! A std lock's guard as an output would be dropped on another thread.

use std::sync::Mutex;

fn main() {
    let lock = Mutex::new(0);
    treescope::block_on(async |scope| {
        drop(scope.spawn(async { lock.lock().unwrap() }).await);
    });
}
