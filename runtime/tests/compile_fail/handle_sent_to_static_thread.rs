//! A handle in a detached thread.

fn main() {
    treescope::block_on(async |scope| {
        let handle = scope.spawn(async {});
        std::thread::spawn(move || drop(handle));
    });
}
