//! A value that borrows a local of the body.

fn main() {
    treescope::block_on(async |scope| {
        let local = 1;
        scope.alloc(&local);
    });
}
