//! A closure that spells out a future whose type implies `'scope: 'env` is refused; a function is not (see
//! `known_bugs/`).

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

fn smuggle<'outer>(scope: &'outer Scope<'outer, '_>) -> JoinHandle<'outer, &'outer u32> {
    scope.scope(|inner: &Scope<'_, 'outer>| -> Implies<'_, 'outer> { Implies(inner.alloc(7), PhantomData) })
}

fn main() {}
