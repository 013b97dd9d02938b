//! A child that borrows a local of its parent's body: the body is a future, and may be leaked.

fn main() {
    treescope::block_on(async |scope| {
        let local = 1;
        scope.spawn(async { assert_eq!(local, 1) });
    });
}
