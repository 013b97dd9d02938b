//! A body that asks for `'scope: 'env`.

use treescope::Scope;

async fn body<'scope, 'env>(scope: &'scope Scope<'scope, 'env>) -> &'env u32
where
    'scope: 'env,
{
    scope.alloc(1)
}

fn main() {
    treescope::block_on(async |scope| scope.scope(body).await);
}
