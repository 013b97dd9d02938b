//! As `implied_by_return_type_of_function`, with a closure that a helper gives the signature.
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

fn signed<'env, F>(body: F) -> F
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> Implies<'scope, 'env>,
{
    body
}

fn smuggle<'outer>(outer: &'outer Scope<'outer, '_>) -> JoinHandle<'outer, &'outer u32> {
    outer.scope(signed(|inner| Implies(inner.alloc(7), PhantomData)))
}

fn main() {
    // Named, not called.
    let _ = smuggle;
}
