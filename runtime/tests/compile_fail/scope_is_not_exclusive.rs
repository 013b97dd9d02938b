//! Nobody gets `&mut Scope`, with which two scopes could be swapped.

fn main() {
    treescope::block_on(async |one| {
        one.scope(async |two| {
            std::mem::swap(&mut *one, &mut *two);
        })
        .await;
    });
}
