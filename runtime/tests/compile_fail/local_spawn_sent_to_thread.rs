//! A local bounded scope's wait for a place, polled on another thread, would give that thread the handle of a child whose
//! output is not `Send`.

use std::cell::RefCell;
use std::rc::Rc;

thread_local! {
    static HERE: Rc<RefCell<u32>> = Rc::default();
}

fn sent<T: Send>(_: T) {}

fn main() {
    treescope::local::block_on(async |scope| {
        scope
            .bounded(1, async |scope| {
                // The future is `Send`, for it holds nothing yet.
                sent(scope.spawn(async { HERE.with(Rc::clone) }));
            })
            .await;
    });
}
