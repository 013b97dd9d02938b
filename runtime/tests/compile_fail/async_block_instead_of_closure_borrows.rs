//! Moving a reference to a local into the child is still borrowing it.

fn main() {
    treescope::block_on(async |scope| {
        let local = [1, 2, 3];
        for item in &local {
            scope.spawn(async move { assert!(*item > 0) });
        }
    });
}
