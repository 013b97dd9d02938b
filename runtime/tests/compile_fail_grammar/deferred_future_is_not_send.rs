//! A deferred future that is not `Send`.

use std::rc::Rc;
use std::time::Duration;

fn main() {
    treescope::block_on(async |root| {
        let count = Rc::new(1);
        root.defer(Duration::from_secs(1), async move { println!("{count}") });
    });
}
