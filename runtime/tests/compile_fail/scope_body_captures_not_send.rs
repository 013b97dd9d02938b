//! A child scope's body that captures an `Rc`.

fn main() {
    let rc = std::rc::Rc::new(1);
    treescope::block_on(async |scope| scope.scope(async |_| drop(rc.clone())).await);
}
