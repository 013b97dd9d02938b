//! One value lent mutably to a child and read by the body meanwhile.

fn main() {
    treescope::block_on(async |scope| {
        let value = scope.alloc(0);
        let child = scope.spawn(async { *value += 1 });
        assert_eq!(*value, 0);
        child.await;
    });
}
