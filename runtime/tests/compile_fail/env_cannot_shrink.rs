//! `'env` is invariant: were it covariant, values could borrow what dies before the scope.

use treescope::Scope;

fn shrink<'scope, 'long: 'short, 'short: 'scope>(
    scope: &'scope Scope<'scope, 'long>,
) -> &'scope Scope<'scope, 'short> {
    scope
}

fn main() {}
