//! A reference to a local scope's value stored below the root.

use std::cell::Cell;

fn main() {
    let slot = Cell::new(None);
    treescope::local::block_on(async |scope| slot.set(Some(scope.alloc(1))));
}
