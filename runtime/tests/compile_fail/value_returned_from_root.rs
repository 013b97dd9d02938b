//! A reference to a root's value escapes the root.

fn main() {
    let one: &u32 = treescope::block_on(async |scope| &*scope.alloc(1_u32));
    drop(one);
}
