//! One thread or many, a body's locals are a future's.

fn main() {
    treescope::local::block_on(async |scope| {
        let local = 1;
        scope.spawn(async { assert_eq!(local, 1) });
    });
}
