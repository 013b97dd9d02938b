//! Settings for a local child scope.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::{Local, LocalKind, LocalScope};
use crate::kinds::bounded::{Bounded, BoundedScope};
use crate::kinds::deadline::{DeadlineElapsed, Timed};
use crate::kinds::fallible::{Failed, Fallible, TryScope};
use crate::kinds::supervisor::{Supervised, SupervisedHandle, Supervisor, SupervisorScope};
use crate::task::body::{LocalBody, Plain};
use crate::task::join::JoinHandle;
use crate::tree::body::LocalScopeBody;
use crate::tree::builder::ScopeBuilder;
use crate::tree::key::ScopedKey;

impl<'scope, 'env> Local<ScopeBuilder<'scope, 'env>> {
    /// The same builder, after `f`. Private: a user's `f` could give back a builder of another tree's scope.
    fn map(self, f: impl FnOnce(ScopeBuilder<'scope, 'env>) -> ScopeBuilder<'scope, 'env>) -> Self {
        // SAFETY: this file's callers pass the builder's own methods, which give it back.
        unsafe { Local::new(f(self.scope)) }
    }

    /// As [`ScopeBuilder::name`].
    #[must_use]
    pub fn name(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.map(|builder| builder.name(name))
    }

    /// As [`ScopeBuilder::grace`].
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        self.map(|builder| builder.grace(grace))
    }

    /// As [`ScopeBuilder::shield`].
    #[must_use]
    pub fn shield(self, limit: Duration) -> Self {
        self.map(|builder| builder.shield(limit))
    }

    /// As [`ScopeBuilder::with`].
    #[must_use]
    pub fn with<V: Send + Sync + 'static>(self, key: &'static ScopedKey<V>, value: V) -> Self {
        self.map(|builder| builder.with(key, value))
    }

    /// As [`Scope::scope`](crate::Scope::scope).
    ///
    /// # Panics
    /// If the outer scope is closed.
    #[track_caller]
    pub fn scope<B, T>(self, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(LocalScope<'inner, 'scope>) -> T
            + for<'inner> LocalScopeBody<LocalScope<'inner, 'scope>, T>
            + 'scope,
        T: 'scope,
    {
        // SAFETY: the body takes the scope for every `'inner`; a local tree's scheduler runs tasks on this thread only.
        unsafe { self.scope.open(LocalKind(Plain::new()), LocalBody(body), Location::caller()) }
    }

    /// As [`Scope::try_scope`](crate::Scope::try_scope).
    ///
    /// # Panics
    /// If the outer scope is closed.
    #[track_caller]
    pub fn try_scope<B, T, E>(self, body: B) -> JoinHandle<'scope, Result<T, Failed<E>>>
    where
        B: for<'inner> AsyncFnOnce(Local<TryScope<'inner, 'scope, E>>) -> Result<T, E>
            + for<'inner> LocalScopeBody<Local<TryScope<'inner, 'scope, E>>, Result<T, E>>
            + 'scope,
        T: 'scope,
        E: fmt::Display + 'scope,
    {
        // SAFETY: as in `scope`.
        unsafe { self.scope.open(LocalKind(Fallible::new()), LocalBody(body), Location::caller()) }
    }

    /// As [`Scope::supervise`](crate::Scope::supervise).
    ///
    /// # Panics
    /// If the outer scope is closed.
    #[track_caller]
    pub fn supervise<B, T>(self, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(Local<SupervisorScope<'inner, 'scope>>) -> T
            + for<'inner> LocalScopeBody<Local<SupervisorScope<'inner, 'scope>>, T>
            + 'scope,
        T: 'scope,
    {
        // SAFETY: as in `scope`.
        unsafe { self.scope.open(LocalKind(Supervisor::new()), LocalBody(body), Location::caller()) }
    }

    /// As [`ScopeBuilder::supervised`].
    ///
    /// # Panics
    /// If the outer scope is closed.
    #[track_caller]
    pub fn supervised<B, T>(self, body: B) -> SupervisedHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(LocalScope<'inner, 'scope>) -> T
            + for<'inner> LocalScopeBody<LocalScope<'inner, 'scope>, T>
            + 'scope,
        T: 'scope,
    {
        let node = self.scope.outer().node();
        let kind = LocalKind(Supervised::new());
        // SAFETY: as in `scope`.
        let handle = unsafe { self.scope.open(kind, LocalBody(body), Location::caller()) };
        SupervisedHandle::new(handle, node)
    }

    /// As [`Scope::bounded`](crate::Scope::bounded).
    ///
    /// # Panics
    /// If the outer scope is closed, or `max_concurrency` is 0.
    #[track_caller]
    pub fn bounded<B, T>(self, max_concurrency: usize, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(Local<BoundedScope<'inner, 'scope>>) -> T
            + for<'inner> LocalScopeBody<Local<BoundedScope<'inner, 'scope>>, T>
            + 'scope,
        T: 'scope,
    {
        let kind = LocalKind(Bounded::new(max_concurrency));
        // SAFETY: as in `scope`.
        unsafe { self.scope.open(kind, LocalBody(body), Location::caller()) }
    }

    /// As [`Scope::deadline`](crate::Scope::deadline).
    ///
    /// # Panics
    /// If the outer scope is closed.
    #[track_caller]
    pub fn deadline<B, T>(self, deadline: Instant, body: B) -> JoinHandle<'scope, Result<T, DeadlineElapsed>>
    where
        B: for<'inner> AsyncFnOnce(LocalScope<'inner, 'scope>) -> T
            + for<'inner> LocalScopeBody<LocalScope<'inner, 'scope>, T>
            + 'scope,
        T: 'scope,
    {
        let builder = self.scope.until(deadline);
        // SAFETY: as in `scope`.
        unsafe { builder.open(LocalKind(Timed::new()), LocalBody(body), Location::caller()) }
    }
}
