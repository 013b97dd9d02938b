//! A scope cannot be made from parts.

use treescope::Scope;

fn main() {
    let _scope: Scope<'static, 'static> = Scope {};
}
