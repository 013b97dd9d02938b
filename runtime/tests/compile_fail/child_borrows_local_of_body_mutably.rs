//! As `child_borrows_local_of_body`, mutably and through a child scope.

fn main() {
    treescope::block_on(async |scope| {
        scope
            .scope(async |inner| {
                let mut local = vec![1];
                let local = &mut local;
                inner.spawn(async move { local.push(2) }).await;
            })
            .await;
    });
}
