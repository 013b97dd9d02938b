//! `ScopeBody::call` needs a token that nobody else has.

use treescope::{Scope, ScopeBody};

fn call<'scope, 'env>(scope: &'scope Scope<'scope, 'env>, body: impl ScopeBody<&'scope Scope<'scope, 'env>, ()>) {
    body.call(scope, Default::default());
}

fn main() {}
