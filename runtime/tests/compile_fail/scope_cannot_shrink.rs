//! `'scope` is invariant: were it covariant, a child could borrow a local of the body.

use treescope::Scope;

fn shrink<'short, 'long: 'short, 'env: 'long>(scope: &'long Scope<'long, 'env>) -> &'short Scope<'short, 'env> {
    scope
}

fn main() {}
