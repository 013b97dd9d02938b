//! An async closure around a function whose return type implies `'scope: 'env`: the bound is checked at the call.

use std::future::{Ready, ready};
use treescope::Scope;

fn implies<'scope, 'env>(scope: &'scope Scope<'scope, 'env>, _: Option<&'env &'scope ()>) -> Ready<&'env u32> {
    ready(scope.alloc(7))
}

fn main() {
    treescope::block_on(async |scope| scope.scope(async |inner| implies(inner, None).await).await);
}
