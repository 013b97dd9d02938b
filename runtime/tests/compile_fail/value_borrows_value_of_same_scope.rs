//! A value that borrows another of the same scope: the order of their drops would matter.

fn main() {
    treescope::block_on(async |scope| {
        let first = &*scope.alloc(1);
        scope.alloc(first);
    });
}
