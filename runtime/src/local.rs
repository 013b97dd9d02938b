//! Local trees: everything on one thread, and nothing need be `Send`.
//!
//! A [`LocalRuntime`] has no worker threads: the thread that blocks in its root runs the whole tree. Children may borrow
//! `&RefCell` and `&Cell` state and hold it across awaits, for no two of them ever run at the same time. The names and the
//! rules are those of ordinary trees; a scope is a [`Local`] one, and that is all that differs.
//!
//! ```
//! use std::cell::Cell;
//!
//! let served = Cell::new(0);
//! treescope::local::block_on(async |scope| {
//!     for _ in 0..10 {
//!         scope.spawn(async {
//!             treescope::yield_now().await;
//!             served.set(served.get() + 1);
//!         });
//!     }
//! });
//! assert_eq!(served.get(), 10);
//! ```
//!
//! # Why this is sound
//!
//! A task of a local tree is polled and dropped by its scheduler's only worker, which is the root's thread. A waker that
//! is used on another thread sends no more than the fact that the task is due, through the remote queue. [`Local`] is
//! neither `Send` nor `Sync`, so no other thread can spawn a future here that is not `Send` itself.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::{Duration, Instant};

use crate::kinds::bounded::{Bounded, BoundedScope, Place};
use crate::kinds::deadline::{DeadlineElapsed, Timed};
use crate::kinds::fallible::{Failed, Fallible, TryHandle, TryScope};
use crate::kinds::supervisor::{Supervised, SupervisedHandle, Supervisor, SupervisorScope};
use crate::runtime::Builder;
use crate::sched::worker::{self, Worker};
use crate::task::body::{Kind, LocalBody, Plain};
use crate::task::child;
use crate::task::join::JoinHandle;
use crate::tree::body::LocalScopeBody;
use crate::tree::builder::ScopeBuilder;
use crate::tree::deferred::Deferred;
use crate::tree::failure::Payload;
use crate::tree::key::ScopedKey;
use crate::tree::node::Node;
use crate::tree::root;
use crate::tree::scope::{Scope, closed};
use crate::tree::setup::Label;

/// A runtime without worker threads: the root's thread runs the tree.
pub struct LocalRuntime {
    worker: Worker,
    /// It stays on the thread that made it.
    _local: PhantomData<*const ()>,
}

impl LocalRuntime {
    /// A local runtime with the default settings.
    ///
    /// # Errors
    /// What the system says to a new epoll or kqueue instance.
    pub fn new() -> io::Result<Self> {
        Builder::new().build_local()
    }

    pub(crate) fn over(worker: Worker) -> Self {
        Self { worker, _local: PhantomData }
    }

    /// Runs `body`, and everything spawned below it, to the end, on this thread.
    ///
    /// # Panics
    /// As [`Runtime::block_on`](crate::Runtime::block_on); and if called inside itself.
    #[track_caller]
    pub fn block_on<'env, B, T>(&self, body: B) -> T
    where
        B: for<'scope> AsyncFnOnce(LocalScope<'scope, 'env>) -> T,
    {
        root::run_local(&self.worker, Location::caller(), body)
    }

    /// Moves a [virtual clock](Builder::virtual_clock) on by `duration`.
    ///
    /// # Panics
    /// If the runtime's clock is the system's.
    pub fn advance(&self, duration: Duration) {
        assert!(self.worker.scheduler().driver().advance(duration), "only a virtual clock can be advanced");
    }
}

impl Drop for LocalRuntime {
    fn drop(&mut self) {
        let scheduler = self.worker.scheduler();
        scheduler.shut_down();
        for thread in scheduler.blocking().shut_down() {
            // A pool thread that panicked has ended the process.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for LocalRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRuntime").finish_non_exhaustive()
    }
}

impl Builder {
    /// Makes a runtime without worker threads, for this thread. The number of workers, and their name and stack size,
    /// are of no account.
    ///
    /// # Errors
    /// What the system says to a new epoll or kqueue instance.
    pub fn build_local(mut self) -> io::Result<LocalRuntime> {
        self.config.workers = 1;
        let (_, mut workers) = worker::scheduler(&self.config)?;
        match workers.pop() {
            Some(worker) => Ok(LocalRuntime::over(worker)),
            None => unreachable!("one was asked for"),
        }
    }
}

/// Runs `body` on a local runtime made for it.
///
/// # Panics
/// As [`LocalRuntime::block_on`]; and if the runtime cannot be made.
#[track_caller]
pub fn block_on<'env, B, T>(body: B) -> T
where
    B: for<'scope> AsyncFnOnce(LocalScope<'scope, 'env>) -> T,
{
    match LocalRuntime::new() {
        Ok(runtime) => root::run_local(&runtime.worker, Location::caller(), body),
        Err(error) => panic!("cannot make a local runtime: {error}"),
    }
}

/// A scope of a local tree, of whatever kind. `Copy`, like the reference that it is.
///
/// It derefs to the scope itself, for all that does not run anything: values, cancel, causes. Through that, futures that
/// are `Send` can be spawned from other threads too; they run here like the others.
#[derive(Clone, Copy)]
pub struct Local<S> {
    scope: S,
    _local: PhantomData<*const ()>,
}

/// A plain scope of a local tree.
pub type LocalScope<'scope, 'env> = Local<&'scope Scope<'scope, 'env>>;

impl<S> Local<S> {
    /// # Safety
    /// The scope's scheduler runs tasks on this thread only.
    pub(crate) unsafe fn new(scope: S) -> Self {
        Self { scope, _local: PhantomData }
    }
}

impl<S> std::ops::Deref for Local<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.scope
    }
}

impl<S: fmt::Debug> fmt::Debug for Local<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Local").field(&self.scope).finish()
    }
}

/// A kind of scope in a local tree: its body gets a [`Local`] argument.
struct LocalKind<K>(K);

impl<'scope, K: Kind<'scope>> Kind<'scope> for LocalKind<K> {
    type Arg = Local<K::Arg>;
    type Value = K::Value;
    type Output = K::Output;

    fn arg(&'scope self, scope: &'scope Scope<'scope, 'scope>) -> Self::Arg {
        // SAFETY: only `Local`'s own methods make this kind, below a scope of a local tree.
        unsafe { Local::new(self.0.arg(scope)) }
    }

    fn body_ended(&self, node: &Node, value: Self::Value) -> Option<Self::Value> {
        self.0.body_ended(node, value)
    }

    fn finish(&self, node: &Node, value: Option<Self::Value>) -> Option<Self::Output> {
        self.0.finish(node, value)
    }

    fn failed(&self, payload: Payload) -> Result<Self::Output, Payload> {
        self.0.failed(payload)
    }
}

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
        unsafe { child::spawn(self.scope.node(), label, future) }.unwrap_or_else(|_| closed())
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
        unsafe { child::spawn(self.scope.node(), Label::here(), future) }
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

    /// As [`Scope::scope`].
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

    /// As [`Scope::try_scope`].
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

    /// As [`Scope::supervise`].
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

    /// As [`Scope::bounded`].
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

    /// As [`Scope::deadline`].
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
