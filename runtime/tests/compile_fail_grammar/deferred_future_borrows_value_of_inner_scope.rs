//! A future deferred on an outer scope that borrows a value of an inner one.

use std::time::Duration;

fn main() {
    treescope::block_on(async |root| {
        root.scope(async |outer| {
            outer
                .scope(async move |inner| {
                    let value: &String = inner.alloc(String::from("value"));
                    outer.defer(Duration::from_secs(1), async move { println!("{value}") });
                })
                .await;
        })
        .await;
    });
}
