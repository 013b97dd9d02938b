//! rust-lang/rust#84366 again (see `associated_type_outlives_through_alloc`): a child that borrows a local. `std`'s own
//! `thread::spawn` and `thread::scope` have the same hole.
//!
//! Compiles, and must never be run. When it no longer compiles, rustc has fixed it: move it to `compile_fail/`.

use std::future::{Future, Ready, ready};
use treescope::Scope;

trait Returns {
    type Value;
}

impl<R, F: FnOnce() -> R> Returns for F {
    type Value = R;
}

fn spawn_as_if_scope<'scope, F>(scope: &'scope Scope<'scope, '_>, _type_of: F, child: F::Value)
where
    F: Returns + 'scope,
    F::Value: Future<Output = ()> + Send,
{
    scope.spawn(child);
}

struct Reads<T>(Ready<T>);

impl<T: Unpin> Future for Reads<T> {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

fn child_borrows_local<'scope>(scope: &'scope Scope<'scope, '_>) {
    let local = 1;
    let child = Reads(ready(&local));
    spawn_as_if_scope(scope, || -> Reads<&u32> { unreachable!() }, child);
}

fn main() {
    // Named, not called.
    let _ = child_borrows_local;
}
