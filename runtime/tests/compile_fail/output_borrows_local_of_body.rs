//! An output that borrows a local of the body: the scope may hold it longer than the body lives.

fn main() {
    treescope::block_on(async |scope| {
        let local = 1;
        scope.spawn(std::future::ready(&local)).await;
    });
}
