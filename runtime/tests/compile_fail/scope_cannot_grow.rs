//! `'scope` is invariant: were it contravariant, references to values could be had for longer than they live.

use treescope::Scope;

fn grow<'short, 'long: 'short, 'env: 'long>(scope: &'short Scope<'short, 'env>) -> &'short Scope<'long, 'env> {
    scope
}

fn main() {}
