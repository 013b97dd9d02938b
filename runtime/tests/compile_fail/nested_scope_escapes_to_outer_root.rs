//! The scope of a nested root stored where the outer one can use it.

fn main() {
    treescope::block_on(async |_| {
        let mut slot = None;
        treescope::block_on(async |inner| slot = Some(inner));
        drop(slot);
    });
}
