//! A scope cannot be moved out of the node it is.

fn main() {
    treescope::block_on(async |scope| {
        let moved = *scope;
        drop(moved);
    });
}
