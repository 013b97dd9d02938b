//! Two children that share a `Cell` by reference.

use std::cell::Cell;

fn main() {
    let cell = Cell::new(0);
    treescope::block_on(async |scope| {
        scope.spawn(async { cell.set(1) });
        scope.spawn(async { cell.set(2) });
    });
}
