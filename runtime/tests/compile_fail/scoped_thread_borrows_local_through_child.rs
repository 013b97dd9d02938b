//! `thread::scope` inside a body may borrow the body's locals; a child spawned from its threads may not.

fn main() {
    treescope::block_on(async |scope| {
        let local = 1;
        std::thread::scope(|threads| {
            threads.spawn(|| drop(scope.spawn(async { local })));
        });
    });
}
