//! A blocking call whose output is an `Rc`.

fn main() {
    treescope::block_on(async |scope| scope.spawn_blocking(|| std::rc::Rc::new(1)).await);
}
