//! A child that holds an `Rc` across an await.

use std::rc::Rc;

fn main() {
    treescope::block_on(async |scope| {
        scope.spawn(async {
            let rc = Rc::new(1);
            treescope::yield_now().await;
            drop(rc);
        });
    });
}
