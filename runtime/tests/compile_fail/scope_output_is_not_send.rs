//! A child scope whose output is an `Rc`.

fn main() {
    treescope::block_on(async |scope| scope.scope(async |_| std::rc::Rc::new(1)).await);
}
