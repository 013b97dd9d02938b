//! What a scope's task runs, and what becomes of the body's value: the kinds of scope.
//!
//! A kind lies in the scope's task beside the node, pinned and lent to the body for `'scope` like the node itself. The
//! task is the same for all kinds; a kind says what argument the body gets, and what the scope comes to once all its
//! children have ended.

use std::future::Future;

use crate::tree::body::sealed::Token;
use crate::tree::body::{LocalScopeBody, ScopeBody};
use crate::tree::failure::Payload;
use crate::tree::node::Node;
use crate::tree::scope::Scope;

/// A kind of scope.
pub(crate) trait Kind<'scope>: Sized {
    /// What the body gets.
    type Arg;
    /// What the body gives.
    type Value;
    /// What the scope's handle gives.
    type Output;

    /// The body's argument.
    fn arg(&'scope self, scope: &'scope Scope<'scope, 'scope>) -> Self::Arg;

    /// Takes the body's value as soon as there is one, while children may still live; what it gives back is kept for
    /// [`finish`](Self::finish).
    fn body_ended(&self, _node: &Node, value: Self::Value) -> Option<Self::Value> {
        Some(value)
    }

    /// What the scope comes to, all children and deferred futures having ended. `value` is `None` if the body was
    /// aborted, or if the scope fails by a panic: then what comes of it is dropped.
    fn finish(&self, node: &Node, value: Option<Self::Value>) -> Option<Self::Output>;

    /// What the scope comes to if it fails by a panic. `Err`: nothing, and the panic goes on to the scope above.
    fn failed(&self, payload: Payload) -> Result<Self::Output, Payload> {
        Err(payload)
    }
}

/// A body that a scope's task can run: `Send` for an ordinary runtime, not so for a local one.
pub(crate) trait Body<Arg, Value> {
    type Future: Future<Output = Value>;

    fn call(self, arg: Arg) -> Self::Future;
}

/// A body from [`ScopeBody`].
pub(crate) struct SendBody<B>(pub(crate) B);

impl<Arg, Value, B: ScopeBody<Arg, Value>> Body<Arg, Value> for SendBody<B> {
    type Future = B::Future;

    fn call(self, arg: Arg) -> B::Future {
        self.0.call(arg, Token)
    }
}

/// A body from [`LocalScopeBody`].
pub(crate) struct LocalBody<B>(pub(crate) B);

impl<Arg, Value, B: LocalScopeBody<Arg, Value>> Body<Arg, Value> for LocalBody<B> {
    type Future = B::Future;

    fn call(self, arg: Arg) -> B::Future {
        self.0.call(arg, Token)
    }
}

/// A plain scope: the body's value is the scope's.
pub(crate) struct Plain<T>(std::marker::PhantomData<fn() -> T>);

impl<T> Plain<T> {
    pub(crate) const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<'scope, T: 'scope> Kind<'scope> for Plain<T> {
    type Arg = &'scope Scope<'scope, 'scope>;
    type Value = T;
    type Output = T;

    fn arg(&'scope self, scope: &'scope Scope<'scope, 'scope>) -> Self::Arg {
        scope
    }

    fn finish(&self, _: &Node, value: Option<T>) -> Option<T> {
        value
    }
}
