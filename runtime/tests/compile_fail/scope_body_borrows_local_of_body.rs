//! A child scope's body that borrows a local of the body that opens it.

fn main() {
    treescope::block_on(async |scope| {
        let local = String::new();
        scope.scope(async |_| local.len()).await;
    });
}
