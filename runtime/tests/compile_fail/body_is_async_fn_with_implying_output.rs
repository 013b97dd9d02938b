//! An `async fn` whose output type could imply `'scope: 'env`: its body is checked without that.

use treescope::Scope;

trait First {
    type Is;
}

impl<'env, 'scope> First for &'env &'scope () {
    type Is = &'env u32;
}

async fn body<'scope, 'env>(scope: &'scope Scope<'scope, 'env>) -> <&'env &'scope () as First>::Is {
    scope.alloc(7)
}

fn main() {
    treescope::block_on(async |scope| scope.scope(body).await);
}
