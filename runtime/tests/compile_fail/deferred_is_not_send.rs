//! What is deferred runs on any worker.

use std::rc::Rc;
use std::time::Duration;

fn main() {
    let rc = Rc::new(1);
    treescope::block_on(async |scope| {
        scope.defer(Duration::MAX, async { drop(rc.clone()) });
    });
}
