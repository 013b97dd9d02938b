//! A panic's payload outlives the scope it is thrown in.

fn main() {
    treescope::block_on(async |scope| {
        std::panic::panic_any(scope);
    });
}
