//! What a local scope derefs to may be sent to other threads, and so spawns only what may be too.

use std::rc::Rc;
use treescope::Scope;

fn main() {
    let rc = Rc::new(1);
    treescope::local::block_on(async |scope| {
        let plain: &Scope<'_, '_> = *scope;
        plain.spawn(async { drop(rc.clone()) });
    });
}
