//! A local below the root that is freed by the body while a child borrows it.

fn main() {
    let local = String::new();
    treescope::block_on(async |scope| {
        scope.spawn(async { local.len() });
        drop(local);
    });
}
