//! Known bug of rustc, kin of rust-lang/rust#25860 and #84533: that a function's return type is well-formed is assumed
//! inside it, and checked by no caller of a `for<'scope> FnOnce`. Here that is `'scope: 'env`, by which a reference to
//! the scope's value passes for one that outlives the scope. Plain `AsyncFnOnce` in std has it too.
//!
//! Compiles, and must never be run. When it no longer compiles, rustc has fixed it: move it to `compile_fail/`.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use treescope::{JoinHandle, Scope};

struct Implies<'scope, 'env>(&'env u32, PhantomData<&'env &'scope ()>);

impl<'env> Future for Implies<'_, 'env> {
    type Output = &'env u32;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<&'env u32> {
        Poll::Ready(self.0)
    }
}

fn body<'scope, 'env>(scope: &'scope Scope<'scope, 'env>) -> Implies<'scope, 'env> {
    Implies(scope.alloc(7), PhantomData)
}

fn smuggle<'outer>(outer: &'outer Scope<'outer, '_>) -> JoinHandle<'outer, &'outer u32> {
    outer.scope(body)
}

fn smuggle_from_root() -> &'static u32 {
    treescope::block_on(body)
}

fn main() {
    // Named, not called.
    let _ = smuggle;
    let _ = smuggle_from_root;
}
