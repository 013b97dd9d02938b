//! A child of an outer root that borrows what lies below a nested one only.

fn main() {
    treescope::block_on(async |outer| {
        let local = 1;
        treescope::block_on(async |_| {
            outer.spawn(async { assert_eq!(local, 1) });
        });
    });
}
