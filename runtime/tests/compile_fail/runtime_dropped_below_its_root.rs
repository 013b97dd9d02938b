//! A runtime outlives its roots.

fn main() {
    let runtime = treescope::Runtime::new().unwrap();
    runtime.block_on(async |_| drop(runtime));
}
