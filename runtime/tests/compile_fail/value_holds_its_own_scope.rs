//! A value whose drop could spawn on the scope that owns it.

fn main() {
    treescope::block_on(async |scope| {
        scope.alloc(scope);
    });
}
