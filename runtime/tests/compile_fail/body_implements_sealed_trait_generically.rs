//! `ScopeBody` is sealed: nor can its token be inferred.

use std::future::{Ready, ready};
use treescope::{Scope, ScopeBody};

struct Body;

impl<'scope, 'env> ScopeBody<&'scope Scope<'scope, 'env>, ()> for Body {
    type Future = Ready<()>;

    fn call<Token>(self, _: &'scope Scope<'scope, 'env>, _: Token) -> Ready<()> {
        ready(())
    }
}

fn main() {}
