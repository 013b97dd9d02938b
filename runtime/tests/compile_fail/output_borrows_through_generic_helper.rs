//! A generic helper does not let out what a plain body cannot.

use treescope::{JoinHandle, Scope, ScopeBody};

fn run<'scope, B, T>(scope: &'scope Scope<'scope, '_>, body: B) -> JoinHandle<'scope, T>
where
    B: for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T
        + for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T>
        + 'scope,
    T: Send + 'scope,
{
    scope.scope(body)
}

fn main() {
    treescope::block_on(async |scope| run(scope, async |inner| inner.alloc(1)).await);
}
