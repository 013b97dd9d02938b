//! Opening a scope with settings.

use std::borrow::Cow;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::body::ScopeBody;
use super::key::ScopedKey;
use super::scope::Scope;
use super::setup::Setup;
use crate::kinds::bounded::{Bounded, BoundedScope};
use crate::kinds::deadline::{DeadlineElapsed, Timed};
use crate::kinds::fallible::{Failed, Fallible, TryScope};
use crate::kinds::supervisor::{Supervised, SupervisedHandle, Supervisor, SupervisorScope};
use crate::task::body::{Kind, Plain, SendBody};
use crate::task::join::JoinHandle;
use crate::task::scope_task;

/// Settings for a child scope; made by [`Scope::open`].
///
/// ```
/// use std::time::Duration;
///
/// treescope::block_on(async |scope| {
///     let answer = scope.open().name("answer").grace(Duration::from_millis(10)).scope(async |_| 42).await;
///     assert_eq!(answer, 42);
/// });
/// ```
#[must_use = "nothing is opened before one of `scope`, `try_scope`, `supervise`, `bounded` or `deadline` is called"]
#[derive(Debug)]
pub struct ScopeBuilder<'scope, 'env> {
    outer: &'scope Scope<'scope, 'env>,
    setup: Setup,
}

impl<'scope, 'env> ScopeBuilder<'scope, 'env> {
    pub(crate) fn new(outer: &'scope Scope<'scope, 'env>) -> Self {
        Self { outer, setup: Setup::default() }
    }

    /// The scope that the new one will be a child of.
    pub(crate) fn outer(&self) -> &'scope Scope<'scope, 'env> {
        self.outer
    }

    /// What the scope is called in paths and causes. Without a name it is the place it was opened at.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.setup.name = Some(name.into());
        self
    }

    /// How long the children of a scope that fails have to wind up, from the request to the abort. Default: no time.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.setup.grace = grace;
        self
    }

    /// Shields the scope: a request to cancel from above does not reach it, and an abort from above only after
    /// `limit`. The scopes above wait for it all that time, so it is for a critical part that must not be cut in two.
    ///
    /// What is shielded runs in the scope's own body and children. The code that awaits the scope's handle is not.
    pub fn shield(mut self, limit: Duration) -> Self {
        self.setup.shield = Some(limit);
        self
    }

    /// Lays down a value for the scope's body and children, and, if the key says so, for all scopes below.
    pub fn with<V: Send + Sync + 'static>(mut self, key: &'static ScopedKey<V>, value: V) -> Self {
        self.setup.bindings.push(key.bind(value));
        self
    }

    /// Opens a plain scope. See [`Scope::scope`].
    ///
    /// # Panics
    /// If the outer scope is closed.
    #[track_caller]
    pub fn scope<B, T>(self, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        // SAFETY: the body takes the scope for every `'inner`; body, future and value are `Send`.
        unsafe { self.open(Plain::new(), SendBody(body), Location::caller()) }
    }

    /// Opens a fallible scope. See [`Scope::try_scope`].
    ///
    /// # Panics
    /// If the outer scope is closed.
    #[track_caller]
    pub fn try_scope<B, T, E>(self, body: B) -> JoinHandle<'scope, Result<T, Failed<E>>>
    where
        B: for<'inner> AsyncFnOnce(TryScope<'inner, 'scope, E>) -> Result<T, E>
            + for<'inner> ScopeBody<TryScope<'inner, 'scope, E>, Result<T, E>>
            + 'scope,
        T: Send + 'scope,
        E: std::fmt::Display + Send + 'scope,
    {
        // SAFETY: the body takes the scope for every `'inner`; body, future, value and errors are `Send`.
        unsafe { self.open(Fallible::new(), SendBody(body), Location::caller()) }
    }

    /// Opens a supervisor scope. See [`Scope::supervise`].
    ///
    /// # Panics
    /// If the outer scope is closed.
    #[track_caller]
    pub fn supervise<B, T>(self, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(SupervisorScope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<SupervisorScope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        // SAFETY: the body takes the scope for every `'inner`; body, future and value are `Send`.
        unsafe { self.open(Supervisor::new(), SendBody(body), Location::caller()) }
    }

    /// Opens a plain scope whose panic, be it its body's or any child's, is what its handle gives, and goes no further: a
    /// supervised child that has children of its own. See [`SupervisorScope::scope`].
    ///
    /// # Panics
    /// If the outer scope is closed.
    #[track_caller]
    pub fn supervised<B, T>(self, body: B) -> SupervisedHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        let node = self.outer.node();
        // SAFETY: the body takes the scope for every `'inner`; body, future and value are `Send`.
        let handle = unsafe { self.open(Supervised::new(), SendBody(body), Location::caller()) };
        SupervisedHandle::new(handle, node)
    }

    /// Opens a scope with at most `max_concurrency` children at a time. See [`Scope::bounded`].
    ///
    /// # Panics
    /// If the outer scope is closed, or `max_concurrency` is 0.
    #[track_caller]
    pub fn bounded<B, T>(self, max_concurrency: usize, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(BoundedScope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<BoundedScope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        // SAFETY: the body takes the scope for every `'inner`; body, future and value are `Send`.
        unsafe { self.open(Bounded::new(max_concurrency), SendBody(body), Location::caller()) }
    }

    /// Opens a scope that is aborted at `deadline`. See [`Scope::deadline`].
    ///
    /// # Panics
    /// If the outer scope is closed.
    #[track_caller]
    pub fn deadline<B, T>(self, deadline: Instant, body: B) -> JoinHandle<'scope, Result<T, DeadlineElapsed>>
    where
        B: for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        // SAFETY: the body takes the scope for every `'inner`; body, future and value are `Send`.
        unsafe { self.until(deadline).open(Timed::new(), SendBody(body), Location::caller()) }
    }

    pub(crate) fn until(mut self, deadline: Instant) -> Self {
        self.setup.deadline = Some(deadline);
        self
    }

    /// # Safety
    /// As for [`scope_task::spawn`].
    pub(crate) unsafe fn open<K, B>(
        self,
        kind: K,
        body: B,
        location: &'static Location<'static>,
    ) -> JoinHandle<'scope, K::Output>
    where
        K: Kind<'scope> + 'scope,
        B: crate::task::body::Body<K::Arg, K::Value> + 'scope,
    {
        let node = self.outer.node();
        // SAFETY: by contract.
        unsafe { scope_task::spawn(node, Some(Box::new(self.setup)), location, kind, body) }
    }
}
