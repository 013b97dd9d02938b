//! `ScopeBody` is sealed: its method's token cannot be named.

use std::future::{Ready, ready};
use treescope::{Scope, ScopeBody};

struct Body;

impl<'scope, 'env> ScopeBody<&'scope Scope<'scope, 'env>, ()> for Body {
    type Future = Ready<()>;

    fn call(self, _: &'scope Scope<'scope, 'env>, _: treescope::Token) -> Ready<()> {
        ready(())
    }
}

fn main() {}
