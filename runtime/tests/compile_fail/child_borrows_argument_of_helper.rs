//! A helper that spawns a child on what it was lent for less than the scope's life.

use treescope::Scope;

fn helper<'scope>(scope: &'scope Scope<'scope, '_>, text: &str) {
    scope.spawn(async move { text.len() });
}

fn main() {
    treescope::block_on(async |scope| helper(scope, "a"));
}
