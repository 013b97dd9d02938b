//! An error that is not `Send`: it goes up to whoever opened the scope.

use std::rc::Rc;

fn main() {
    treescope::block_on(async |root| {
        let failed = root.try_scope(async |_| Err::<(), Rc<str>>(Rc::from("error"))).await;
        failed.unwrap_err();
    });
}
