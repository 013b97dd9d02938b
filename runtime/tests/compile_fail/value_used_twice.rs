//! One value lent mutably to two children.

fn main() {
    treescope::block_on(async |scope| {
        let value = scope.alloc(0);
        scope.spawn(async { *value += 1 });
        scope.spawn(async { *value += 2 });
    });
}
