//! The scope in a detached thread.

fn main() {
    treescope::block_on(async |scope| {
        std::thread::spawn(move || drop(scope.spawn(async {})));
    });
}
