//! The scopes of other kinds escape no more than plain ones.

fn main() {
    treescope::block_on(async |scope| {
        scope.supervise(async |scope| scope).await;
        scope.bounded(1, async |scope| scope).await;
        scope.try_scope(async |scope| Ok::<_, String>(scope)).await.unwrap();
    });
}
