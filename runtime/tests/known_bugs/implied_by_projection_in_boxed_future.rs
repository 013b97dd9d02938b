//! As `implied_by_return_type_of_function`, without a future written by hand: the bound hides in a projection.
//!
//! Compiles, and must never be run. When it no longer compiles, rustc has fixed it: move it to `compile_fail/`.

use std::future::Future;
use std::pin::Pin;
use treescope::{JoinHandle, Scope};

trait First {
    type Is;
}

impl<'env, 'scope> First for &'env &'scope () {
    type Is = &'env u32;
}

type Boxed<'scope, 'env> = Pin<Box<dyn Future<Output = <&'env &'scope () as First>::Is> + Send + 'scope>>;

fn body<'scope, 'env>(scope: &'scope Scope<'scope, 'env>) -> Boxed<'scope, 'env> {
    Box::pin(async move {
        let value: &'scope u32 = scope.alloc(7);
        value
    })
}

fn smuggle<'outer>(outer: &'outer Scope<'outer, '_>) -> JoinHandle<'outer, &'outer u32> {
    outer.scope(body)
}

fn main() {
    // Named, not called.
    let _ = smuggle;
}
