//! The root's scope stored in a local below the root.

fn main() {
    let mut slot = None;
    treescope::block_on(async |scope| slot = Some(scope));
    drop(slot);
}
