//! `'env` is invariant: were it contravariant, values could be taken for longer-lived.

use treescope::Scope;

fn grow<'scope, 'long: 'short, 'short: 'scope>(
    scope: &'scope Scope<'scope, 'short>,
) -> &'scope Scope<'scope, 'long> {
    scope
}

fn main() {}
