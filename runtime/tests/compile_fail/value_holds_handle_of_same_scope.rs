//! A value that holds a handle of a child of the same scope.

fn main() {
    treescope::block_on(async |scope| {
        scope.alloc(scope.spawn(async { 1 }));
    });
}
