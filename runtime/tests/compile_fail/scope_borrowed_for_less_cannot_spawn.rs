//! A scope borrowed for less than `'scope` spawns nothing.

use treescope::Scope;

fn spawn<'short, 'scope>(scope: &'short Scope<'scope, '_>) {
    scope.spawn(async {});
}

fn main() {}
