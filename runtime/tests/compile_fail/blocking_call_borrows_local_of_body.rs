//! A blocking call that borrows a local of its parent's body.

fn main() {
    treescope::block_on(async |scope| {
        let local = String::new();
        scope.spawn_blocking(|| local.len()).await;
    });
}
