//! What is deferred runs after the body is gone.

use std::time::Duration;

fn main() {
    treescope::block_on(async |scope| {
        let local = 1;
        scope.defer(Duration::MAX, async { assert_eq!(local, 1) });
    });
}
