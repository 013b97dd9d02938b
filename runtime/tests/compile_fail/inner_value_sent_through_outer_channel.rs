//! A reference to an inner scope's value sent through a channel whose ends lie in an outer scope.

use std::sync::mpsc;

fn main() {
    treescope::block_on(async |outer| {
        let (send, receive) = mpsc::channel();
        outer
            .scope(async move |inner| {
                let value: &u32 = inner.alloc(1);
                send.send(value).unwrap();
            })
            .await;
        receive.recv().unwrap();
    });
}
