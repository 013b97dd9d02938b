//! A std lock's guard held across an await may wake up on another thread.

use std::sync::Mutex;

fn main() {
    let lock = Mutex::new(0);
    treescope::block_on(async |scope| {
        scope.spawn(async {
            let mut guard = lock.lock().unwrap();
            treescope::yield_now().await;
            *guard += 1;
        });
    });
}
