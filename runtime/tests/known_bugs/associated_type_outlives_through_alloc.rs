//! Known bug of rustc, rust-lang/rust#84366: a closure's associated types are taken to live as long as its captures. A
//! closure that captures nothing and returns `&'scope u32` thus makes `&'scope u32: 'env`, and a value borrows from
//! another of its own scope.
//!
//! Compiles, and must never be run. When it no longer compiles, rustc has fixed it: move it to `compile_fail/`.

use treescope::Scope;

trait Returns {
    type Value;
}

impl<R, F: FnOnce() -> R> Returns for F {
    type Value = R;
}

fn alloc_as_if_env<'scope, 'env, F>(
    scope: &'scope Scope<'scope, 'env>,
    _type_of: F,
    value: F::Value,
) -> &'scope mut F::Value
where
    F: Returns + 'env,
    F::Value: Send,
{
    scope.alloc(value)
}

fn value_borrows_value<'scope>(scope: &'scope Scope<'scope, '_>) {
    let first: &'scope u32 = scope.alloc(1);
    alloc_as_if_env(scope, || -> &'scope u32 { unreachable!() }, first);
}

fn main() {
    // Named, not called.
    let _ = value_borrows_value;
}
