//! A child whose output is an `Rc`.

fn main() {
    treescope::block_on(async |scope| scope.spawn(async { std::rc::Rc::new(1) }).await);
}
