//! A value given to a scope is dropped by whoever runs the scope's end.

fn main() {
    treescope::block_on(async |scope| {
        scope.alloc(std::rc::Rc::new(1));
    });
}
