//! "An async closure whose future is `Send`", said on stable.
//!
//! `for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T` gives closures their signature, but names no
//! future that a `Send` bound could go on (that is return-type notation, unstable as of Rust 1.95). [`ScopeBody`]
//! stands beside it and says the rest through plain `FnOnce`. Found by trying: the `AsyncFnOnce` bound must stay,
//! or closure signatures are not deduced; the trait must not ask `Future: 'scope`; and the last parameter carries
//! `'env: 'scope` as an implied bound into the `for<'inner>`.

use std::future::Future;

pub(crate) mod sealed {
    /// Keeps [`ScopeBody`](super::ScopeBody) ours: who cannot name this type can neither implement nor call
    /// [`call`](super::ScopeBody::call). Were it open, a type could implement it with a future that borrows from one
    /// particular scope, and only the `AsyncFnOnce` bound beside it would be in the way.
    ///
    /// A sealed supertrait, the usual way, does not do here: elaborated under `for<'inner>` it asks
    /// `'env: 'inner` for every `'inner`, and the implied bound does not reach it.
    #[derive(Debug)]
    pub struct Token;
}

/// The body of a child scope: an async closure or function over `S`, the scope, whose future is `Send`.
///
/// Implemented for every such closure and function; sealed. See [`Scope::scope`](crate::Scope::scope).
pub trait ScopeBody<S, T>: Send {
    /// The future that the body returns.
    #[doc(hidden)]
    type Future: Future<Output = T> + Send;

    /// Calls the body.
    #[doc(hidden)]
    fn call(self, scope: S, token: sealed::Token) -> Self::Future;
}

impl<S, T, F, Fut> ScopeBody<S, T> for F
where
    F: FnOnce(S) -> Fut + Send,
    Fut: Future<Output = T> + Send,
{
    type Future = Fut;

    fn call(self, scope: S, _: sealed::Token) -> Fut {
        self(scope)
    }
}

/// The body of a child scope of a local tree: as [`ScopeBody`], but neither it nor its future need be `Send`.
///
/// Implemented for every such closure and function; sealed. See [`Local`](crate::local::Local).
pub trait LocalScopeBody<S, T> {
    /// The future that the body returns.
    #[doc(hidden)]
    type Future: Future<Output = T>;

    /// Calls the body.
    #[doc(hidden)]
    fn call(self, scope: S, token: sealed::Token) -> Self::Future;
}

impl<S, T, F, Fut> LocalScopeBody<S, T> for F
where
    F: FnOnce(S) -> Fut,
    Fut: Future<Output = T>,
{
    type Future = Fut;

    fn call(self, scope: S, _: sealed::Token) -> Fut {
        self(scope)
    }
}
