//! A child that captures an `Rc`.

use std::rc::Rc;

fn main() {
    let rc = Rc::new(1);
    treescope::block_on(async |scope| {
        scope.spawn(async { drop(rc.clone()) });
    });
}
