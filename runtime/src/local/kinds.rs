//! What the other kinds of local scopes run: fallible, supervisor and bounded ones.

use std::fmt;
use std::future::Future;

use super::{Local, LocalScope};
use crate::kinds::bounded::{BoundedScope, Place};
use crate::kinds::fallible::{TryHandle, TryScope};
use crate::kinds::supervisor::{SupervisedHandle, SupervisorScope};
use crate::task::join::JoinHandle;
use crate::tree::body::LocalScopeBody;
use crate::tree::setup::Label;

impl<'scope, E: fmt::Display + 'scope> Local<TryScope<'scope, '_, E>> {
    /// As [`TryScope::spawn`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn<F, T>(&self, future: F) -> TryHandle<'scope, T>
    where
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
    {
        // SAFETY: a local scope's scheduler runs tasks on this thread only.
        unsafe { self.scope.spawn_labelled(Label::here(), future) }
    }

    /// As [`TryScope::spawn_named`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn_named<F, T>(&self, name: &'static str, future: F) -> TryHandle<'scope, T>
    where
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
    {
        // SAFETY: as in `spawn`.
        unsafe { self.scope.spawn_labelled(Label { name: Some(name), ..Label::here() }, future) }
    }
}

impl<'scope> Local<SupervisorScope<'scope, '_>> {
    /// As [`SupervisorScope::spawn`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> SupervisedHandle<'scope, F::Output>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        // SAFETY: a local scope's scheduler runs tasks on this thread only.
        unsafe { self.scope.spawn_labelled(Label::here(), future) }
    }

    /// As [`SupervisorScope::spawn_named`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn_named<F>(&self, name: &'static str, future: F) -> SupervisedHandle<'scope, F::Output>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        // SAFETY: as in `spawn`.
        unsafe { self.scope.spawn_labelled(Label { name: Some(name), ..Label::here() }, future) }
    }

    /// As [`SupervisorScope::scope`].
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn scope<B, T>(&self, body: B) -> SupervisedHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(LocalScope<'inner, 'scope>) -> T
            + for<'inner> LocalScopeBody<LocalScope<'inner, 'scope>, T>
            + 'scope,
        T: 'scope,
    {
        // SAFETY: of the same tree.
        let plain: LocalScope<'scope, '_> = unsafe { Local::new(*self.scope) };
        plain.open().supervised(body)
    }
}

impl<'scope> Local<BoundedScope<'scope, '_>> {
    /// As [`BoundedScope::spawn`].
    ///
    /// # Panics
    /// If the scope is closed, when a place is free.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> impl Future<Output = JoinHandle<'scope, F::Output>> + use<'scope, F>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        // SAFETY: a local scope's scheduler runs tasks on this thread only.
        unsafe { self.scope.spawn_labelled(Label::here(), future) }
    }

    /// As [`BoundedScope::try_spawn`].
    ///
    /// # Errors
    /// The future back, if there is no place, or the scope is closed.
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<'scope, F::Output>, F>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        // SAFETY: as in `spawn`.
        unsafe { self.scope.try_spawn_labelled(Label::here(), future) }
    }

    /// As [`BoundedScope::place`].
    pub fn place(&self) -> impl Future<Output = Place<'scope>> + use<'scope> {
        self.scope.place()
    }

    /// As [`BoundedScope::try_place`].
    pub fn try_place(&self) -> Option<Place<'scope>> {
        self.scope.try_place()
    }
}
