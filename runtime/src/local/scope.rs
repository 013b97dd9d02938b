//! What a local scope runs: the plain scope's methods, without `Send`.

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use super::{Local, LocalScope};
use crate::kinds::bounded::BoundedScope;
use crate::kinds::deadline::DeadlineElapsed;
use crate::kinds::fallible::{Failed, TryScope};
use crate::kinds::supervisor::SupervisorScope;
use crate::task::child;
use crate::task::join::JoinHandle;
use crate::tree::body::LocalScopeBody;
use crate::tree::builder::ScopeBuilder;
use crate::tree::deferred::Deferred;
use crate::tree::scope::{Scope, closed};
use crate::tree::setup::Label;

impl<'scope, 'env> Local<&'scope Scope<'scope, 'env>> {
    /// As [`Scope::spawn`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<'scope, F::Output>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        self.try_spawn(future).unwrap_or_else(|_| closed())
    }

    /// As [`Scope::spawn_named`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn_named<F>(&self, name: &'static str, future: F) -> JoinHandle<'scope, F::Output>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        let label = Label { name: Some(name), ..Label::here() };
        // SAFETY: a local scope's scheduler runs tasks on this thread only.
        unsafe { child::spawn_unhurried(self.scope.node(), label, future) }.unwrap_or_else(|_| closed())
    }

    /// As [`Scope::try_spawn`].
    ///
    /// # Errors
    /// The future back, if the scope is closed.
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<'scope, F::Output>, F>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        // SAFETY: as in `spawn_named`.
        unsafe { child::spawn_unhurried(self.scope.node(), Label::here(), future) }
    }

    /// As [`Scope::alloc`].
    #[allow(clippy::mut_from_ref)] // Each call lends a value of its own.
    pub fn alloc<S: 'env>(&self, value: S) -> &'scope mut S {
        /// Says `Send` of what never leaves the thread.
        struct Here<S>(S);
        // SAFETY: the node of a local tree lives, and drops its values, on the root's thread.
        unsafe impl<S> Send for Here<S> {}
        let ptr = self.scope.node().keep(Here(value));
        // SAFETY: as in `Scope::alloc`.
        unsafe { &mut (*ptr.as_ptr()).0 }
    }

    /// As [`Scope::defer`].
    pub fn defer<F: Future<Output = ()> + 'scope>(&self, limit: Duration, cleanup: F) {
        // SAFETY: as in `Scope::defer`; and it is polled and dropped on this thread.
        let deferred = unsafe { Deferred::new(cleanup, limit) };
        self.scope.node().defer(deferred);
    }

    /// As [`Scope::open`].
    pub fn open(&self) -> Local<ScopeBuilder<'scope, 'env>> {
        // SAFETY: of the same tree.
        unsafe { Local::new(self.scope.open()) }
    }

    /// As [`Scope::scope`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn scope<B, T>(&self, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(LocalScope<'inner, 'scope>) -> T
            + for<'inner> LocalScopeBody<LocalScope<'inner, 'scope>, T>
            + 'scope,
        T: 'scope,
    {
        self.open().scope(body)
    }

    /// As [`Scope::try_scope`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn try_scope<B, T, E>(&self, body: B) -> JoinHandle<'scope, Result<T, Failed<E>>>
    where
        B: for<'inner> AsyncFnOnce(Local<TryScope<'inner, 'scope, E>>) -> Result<T, E>
            + for<'inner> LocalScopeBody<Local<TryScope<'inner, 'scope, E>>, Result<T, E>>
            + 'scope,
        T: 'scope,
        E: fmt::Display + 'scope,
    {
        self.open().try_scope(body)
    }

    /// As [`Scope::supervise`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn supervise<B, T>(&self, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(Local<SupervisorScope<'inner, 'scope>>) -> T
            + for<'inner> LocalScopeBody<Local<SupervisorScope<'inner, 'scope>>, T>
            + 'scope,
        T: 'scope,
    {
        self.open().supervise(body)
    }

    /// As [`Scope::bounded`].
    ///
    /// # Panics
    /// If the scope is closed, or `max_concurrency` is 0.
    #[track_caller]
    pub fn bounded<B, T>(&self, max_concurrency: usize, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(Local<BoundedScope<'inner, 'scope>>) -> T
            + for<'inner> LocalScopeBody<Local<BoundedScope<'inner, 'scope>>, T>
            + 'scope,
        T: 'scope,
    {
        self.open().bounded(max_concurrency, body)
    }

    /// As [`Scope::deadline`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn deadline<B, T>(&self, deadline: Instant, body: B) -> JoinHandle<'scope, Result<T, DeadlineElapsed>>
    where
        B: for<'inner> AsyncFnOnce(LocalScope<'inner, 'scope>) -> T
            + for<'inner> LocalScopeBody<LocalScope<'inner, 'scope>, T>
            + 'scope,
        T: 'scope,
    {
        self.open().deadline(deadline, body)
    }
}
