//! A body that asks for `'scope` and `'env` to be the same: it would take values for longer-lived than they are.

use treescope::Scope;

async fn body<'a>(scope: &'a Scope<'a, 'a>) -> &'a u32 {
    scope.alloc(1)
}

fn main() {
    treescope::block_on(async |scope| scope.scope(body).await);
}
