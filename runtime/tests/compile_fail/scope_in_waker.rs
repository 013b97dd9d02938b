//! Wakers are `'static`.

use std::sync::Arc;
use std::task::{Wake, Waker};
use treescope::Scope;

struct Spawner<'scope, 'env>(&'scope Scope<'scope, 'env>);

impl Wake for Spawner<'_, '_> {
    fn wake(self: Arc<Self>) {
        self.0.spawn(async {});
    }
}

fn main() {
    treescope::block_on(async |scope| drop(Waker::from(Arc::new(Spawner(scope)))));
}
