//! A handle escapes the root.

fn main() {
    let handle = treescope::block_on(async |scope| scope.spawn(async { 1 }));
    drop(handle);
}
