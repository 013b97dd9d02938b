//! A local scope stays on its thread.

fn main() {
    treescope::local::block_on(async |scope| {
        std::thread::scope(|threads| {
            threads.spawn(|| drop(scope.spawn(async {})));
        });
    });
}
