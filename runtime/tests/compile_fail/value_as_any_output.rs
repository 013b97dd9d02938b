//! A reference to a scope's value behind `dyn Any`.

use std::any::Any;

fn main() {
    treescope::block_on(async |scope| {
        let value: Box<dyn Any + Send> = scope
            .scope(async |inner| {
                let value: Box<dyn Any + Send> = Box::new(&*inner.alloc(1));
                value
            })
            .await;
        drop(value);
    });
}
