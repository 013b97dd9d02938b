//! A value that is made to point at itself.

use std::sync::Mutex;

struct Knot<'a>(Mutex<Option<&'a Knot<'a>>>);

fn main() {
    treescope::block_on(async |scope| {
        let knot = &*scope.alloc(Knot(Mutex::new(None)));
        *knot.0.lock().unwrap() = Some(knot);
    });
}
