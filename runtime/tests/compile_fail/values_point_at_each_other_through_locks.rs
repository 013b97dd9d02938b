//! Two values of one scope tied together after both were given.

use std::sync::Mutex;

struct Knot<'a>(Mutex<Option<&'a Knot<'a>>>);

impl Drop for Knot<'_> {
    fn drop(&mut self) {}
}

fn main() {
    treescope::block_on(async |root| {
        root.scope(async |scope| {
            let first = &*scope.alloc(Knot(Mutex::new(None)));
            let second = &*scope.alloc(Knot(Mutex::new(None)));
            *first.0.lock().unwrap() = Some(second);
        })
        .await;
    });
}
