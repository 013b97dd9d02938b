//! A child scope's body that holds an `Rc` across an await: only the root's may.

fn main() {
    treescope::block_on(async |scope| {
        scope
            .scope(async |_| {
                let rc = std::rc::Rc::new(1);
                treescope::yield_now().await;
                *rc
            })
            .await
    });
}
