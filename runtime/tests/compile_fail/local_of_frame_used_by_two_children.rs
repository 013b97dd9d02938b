//! One local below the root lent mutably to two children.

fn main() {
    let mut local = 0;
    treescope::block_on(async |scope| {
        scope.spawn(async { local += 1 });
        scope.spawn(async { local += 2 });
    });
}
