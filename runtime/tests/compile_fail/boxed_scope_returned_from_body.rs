//! A type-erased closure over the scope escapes as the body's value.

fn main() {
    treescope::block_on(async |scope| {
        let later: Box<dyn FnOnce() + Send> = scope
            .scope(async |inner| {
                let later: Box<dyn FnOnce() + Send> = Box::new(move || drop(inner.spawn(async {})));
                later
            })
            .await;
        later();
    });
}
