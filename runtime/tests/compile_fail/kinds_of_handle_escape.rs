//! The handles of other kinds of scope, and the wait for a place, escape no more than plain ones.

fn main() {
    treescope::block_on(async |scope| {
        scope.supervise(async |scope| scope.spawn(async {})).await;
        scope.bounded(1, async |scope| scope.spawn(async {})).await;
        scope.try_scope(async |scope| Ok(scope.spawn(async { Ok::<_, String>(()) }))).await.unwrap();
    });
}
