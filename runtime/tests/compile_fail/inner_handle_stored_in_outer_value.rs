//! An inner handle stored in a lock that an outer scope owns.

use std::sync::Mutex;

fn main() {
    treescope::block_on(async |root| {
        root.scope(async |outer| {
            let slot = &*outer.alloc(Mutex::new(None));
            outer
                .scope(async move |inner| {
                    *slot.lock().unwrap() = Some(inner.spawn(async { 1 }));
                })
                .await;
        })
        .await;
    });
}
