//! The public face of a node.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::body::ScopeBody;
use super::builder::ScopeBuilder;
use super::cause::Cause;
use super::deferred::Deferred;
use super::drain::Drained;
use super::id::ScopeId;
use super::node::Node;
use super::setup::Label;
use super::survivors::Survivors;
use super::watchers::Cancelled;
use crate::kinds::bounded::BoundedScope;
use crate::kinds::deadline::DeadlineElapsed;
use crate::kinds::fallible::{Failed, TryScope};
use crate::kinds::supervisor::SupervisorScope;
use crate::task;
use crate::task::body::{Plain, SendBody};
use crate::task::join::JoinHandle;

/// A scope of the task tree: what children are spawned in, and what they may borrow from.
///
/// You get one as the argument of a body: the root's ([`Runtime::block_on`](crate::Runtime::block_on)) or a child
/// scope's ([`Scope::scope`]). A scope ends when its body and everything spawned in it have been dropped, on
/// every path; whoever opened it continues only then.
///
/// Children borrow from
///
/// - `'env`: whatever outlives the scope: the frame below the root, or the scopes above;
/// - `'scope`: values that the scope owns, by [`alloc`](Scope::alloc).
///
/// They cannot borrow the body's own locals: the body is a future, and a future can be forgotten.
///
/// ```
/// let words = vec!["tree", "structured", "concurrency"];
/// let letters: usize = treescope::block_on(async |scope| {
///     let lengths: Vec<_> = words.iter().map(|word| scope.spawn(async move { word.len() })).collect();
///     let mut sum = 0;
///     for length in lengths {
///         sum += length.await;
///     }
///     sum
/// });
/// assert_eq!(letters, 25);
/// ```
#[repr(transparent)]
pub struct Scope<'scope, 'env: 'scope> {
    node: Node,
    /// Both invariant: neither may shrink or grow behind a child's back.
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

impl<'scope, 'env> Scope<'scope, 'env> {
    pub(crate) fn over(node: Node) -> Self {
        Self { node, _scope: PhantomData, _env: PhantomData }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Runs `future` as a child of this scope, in parallel with its siblings and the body.
    ///
    /// The scope waits for it, whether or not the handle is awaited, dropped or forgotten. If it panics, the scope
    /// is cancelled and the panic is resumed by whoever opened the scope, once all children have ended.
    ///
    /// On a scope that is cancelled already, the child is dropped without being polled.
    ///
    /// ```
    /// let mut halves = [1, 2, 3, 4];
    /// treescope::block_on(async |scope| {
    ///     let (left, right) = halves.split_at_mut(2);
    ///     scope.spawn(async move { left[0] = 10 });
    ///     scope.spawn(async move { right[0] = 30 });
    /// });
    /// assert_eq!(halves, [10, 2, 30, 4]);
    /// ```
    ///
    /// # Panics
    /// If the scope is [closed](Scope::close).
    #[track_caller]
    #[inline]
    pub fn spawn<F>(&'scope self, future: F) -> JoinHandle<'scope, F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        self.try_spawn(future).unwrap_or_else(|_| closed())
    }

    /// [`spawn`](Scope::spawn), with a name for paths and causes.
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn spawn_named<F>(&'scope self, name: &'static str, future: F) -> JoinHandle<'scope, F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        let label = Label { name: Some(name), ..Label::here() };
        // SAFETY: future and output are `Send`.
        unsafe { task::child::spawn(&self.node, label, future) }.unwrap_or_else(|_| closed())
    }

    /// [`spawn`](Scope::spawn), unless the scope is closed.
    ///
    /// # Errors
    /// The future back, if the scope is [closed](Scope::close).
    #[track_caller]
    #[inline]
    pub fn try_spawn<F>(&'scope self, future: F) -> Result<JoinHandle<'scope, F::Output>, F>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        // SAFETY: future and output are `Send`.
        unsafe { task::child::spawn(&self.node, Label::here(), future) }
    }

    /// Opens a child scope: `body` runs as a child of this scope, over a node of its own.
    ///
    /// The handle gives the body's value once the body *and all its descendants* have ended.
    ///
    /// Implied bounds of a *named* `fn` with a hand-written future can be abused through a compiler bug that
    /// plain `AsyncFnOnce` has as well (rust-lang/rust#25860); an entry that closes it, at the price of a second call
    /// in every body, was weighed and not taken. The crate's tests pin the known cases.
    ///
    /// ```
    /// use treescope::Scope;
    ///
    /// fn fib<'scope>(scope: &'scope Scope<'scope, '_>, n: u32) -> impl Future<Output = u64> + Send {
    ///     async move {
    ///         if n < 2 {
    ///             return n.into();
    ///         }
    ///         let left = scope.scope(async move |inner| fib(inner, n - 1).await);
    ///         let right = scope.scope(async move |inner| fib(inner, n - 2).await);
    ///         left.await + right.await
    ///     }
    /// }
    ///
    /// assert_eq!(treescope::block_on(async |scope| fib(scope, 10).await), 55);
    /// ```
    ///
    /// # Panics
    /// If the scope is [closed](Scope::close).
    #[track_caller]
    #[inline]
    pub fn scope<B, T>(&'scope self, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        let (kind, body) = (Plain::new(), SendBody(body));
        // SAFETY: the body takes the scope for every `'inner`; body, future and value are `Send`.
        unsafe { task::scope_task::spawn(&self.node, None, Location::caller(), kind, body) }
    }

    /// Settings for a child scope: a name, a grace period, a shield, scoped values; and then its kind.
    pub fn open(&'scope self) -> ScopeBuilder<'scope, 'env> {
        ScopeBuilder::new(self)
    }

    /// Opens a fallible scope: `body` and the children spawned in it return `Result`, and the first `Err` aborts the
    /// siblings (after the [grace period](ScopeBuilder::grace), if there is one) and is what the handle gives, once all
    /// have ended. Errors that come later are kept beside it.
    ///
    /// ```
    /// let outcome = treescope::block_on(async |scope| {
    ///     scope
    ///         .try_scope(async |scope| {
    ///             let number = scope.spawn(async { "17".parse::<u32>() });
    ///             scope.spawn(async { "x".parse::<u32>() });
    ///             Ok(number.await)
    ///         })
    ///         .await
    /// });
    /// assert_eq!(outcome.unwrap_err().to_string(), "invalid digit found in string");
    /// ```
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn try_scope<B, T, E>(&'scope self, body: B) -> JoinHandle<'scope, Result<T, Failed<E>>>
    where
        B: for<'inner> AsyncFnOnce(TryScope<'inner, 'scope, E>) -> Result<T, E>
            + for<'inner> ScopeBody<TryScope<'inner, 'scope, E>, Result<T, E>>
            + 'scope,
        T: Send + 'scope,
        E: fmt::Display + Send + 'scope,
    {
        self.open().try_scope(body)
    }

    /// Opens a supervisor scope: a panic of a child spawned in it is what its handle gives, and its siblings go on.
    ///
    /// ```
    /// let (good, bad) = treescope::block_on(async |scope| {
    ///     let outcomes = scope.supervise(async |scope| {
    ///         let good = scope.spawn(async { 1 });
    ///         let bad = scope.spawn(async { if true { std::panic::resume_unwind(Box::new("no")) } else { 2 } });
    ///         (good.await, bad.await)
    ///     });
    ///     outcomes.await
    /// });
    /// assert_eq!(good.unwrap(), 1);
    /// assert!(bad.unwrap_err().is_panic());
    /// ```
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn supervise<B, T>(&'scope self, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(SupervisorScope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<SupervisorScope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        self.open().supervise(body)
    }

    /// Opens a scope with at most `max_concurrency` children at a time: to spawn one is to wait for a place.
    ///
    /// ```
    /// let sum = treescope::block_on(async |scope| {
    ///     let sum = scope.bounded(2, async |scope| {
    ///         let mut sum = 0;
    ///         for n in 0..10 {
    ///             sum += scope.spawn(async move { n }).await.await;
    ///         }
    ///         sum
    ///     });
    ///     sum.await
    /// });
    /// assert_eq!(sum, 45);
    /// ```
    ///
    /// # Panics
    /// If the scope is closed, or `max_concurrency` is 0.
    #[track_caller]
    pub fn bounded<B, T>(&'scope self, max_concurrency: usize, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(BoundedScope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<BoundedScope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        self.open().bounded(max_concurrency, body)
    }

    /// Opens a scope that is aborted at `deadline`, an instant of the runtime's clock
    /// ([`time::now`](crate::time::now)). If it has not ended by then, children and cleanup included, the handle gives an
    /// error, once all have ended; a value that the body had by then is dropped.
    ///
    /// Scopes below inherit the deadline in that they are aborted with this one; what they ask for with
    /// [`effective_deadline`](Scope::effective_deadline) is the least of all above. One timer per scope that sets a deadline;
    /// none per task.
    ///
    /// # Panics
    /// If the scope is closed.
    #[track_caller]
    pub fn deadline<B, T>(
        &'scope self,
        deadline: Instant,
        body: B,
    ) -> JoinHandle<'scope, Result<T, DeadlineElapsed>>
    where
        B: for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        self.open().deadline(deadline, body)
    }

    /// The instant at which this scope will be aborted by the least deadline of its own and those above, where a
    /// [shield](ScopeBuilder::shield) in between puts off what comes from above it; `None` if there is none.
    pub fn effective_deadline(&self) -> Option<Instant> {
        self.node.deadline()
    }

    /// Runs a closure that blocks (file I/O, a long computation) on the runtime's bounded pool of blocking
    /// threads, as a child of this scope: it may borrow like any other child.
    ///
    /// Once started it runs to its end; a cancelled scope waits for it. One that has not started when the scope is
    /// cancelled is dropped unrun, by the pool: when all its threads are busy for long, with other scopes' closures too, the scope waits
    /// until one of them comes to it.
    ///
    /// ```
    /// let text = String::from("a b c");
    /// let words = treescope::block_on(async |scope| scope.spawn_blocking(|| text.split(' ').count()).await);
    /// assert_eq!(words, 3);
    /// ```
    ///
    /// # Panics
    /// If the scope is [closed](Scope::close).
    #[track_caller]
    pub fn spawn_blocking<F, T>(&'scope self, work: F) -> JoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        task::blocking::spawn(&self.node, Label::here(), work).unwrap_or_else(|_| closed())
    }

    /// Gives `value` to the scope and lends it back for `'scope`, so that children can borrow it.
    ///
    /// It is dropped after the body and all descendants have been dropped; newest value first. The type must
    /// outlive the scope's *outer* lifetime, so values of one scope cannot point at each other.
    ///
    /// ```
    /// let total = treescope::block_on(async |scope| {
    ///     scope
    ///         .scope(async |inner| {
    ///             let cells = inner.alloc([0_u32; 4]);
    ///             let (left, right) = cells.split_at_mut(2);
    ///             let a = inner.spawn(async move { left.fill(1); left.iter().sum::<u32>() });
    ///             let b = inner.spawn(async move { right.fill(2); right.iter().sum::<u32>() });
    ///             a.await + b.await
    ///         })
    ///         .await
    /// });
    /// assert_eq!(total, 6);
    /// ```
    #[allow(clippy::mut_from_ref)] // Each call lends a value of its own.
    pub fn alloc<S: Send + 'env>(&'scope self, value: S) -> &'scope mut S {
        let ptr = self.node.keep(value);
        // SAFETY: `keep` made the value for this call alone, at a stable address. The node drops it only after the
        // body and every descendant, which are all that can hold a `'scope` reference, have been dropped.
        unsafe { &mut *ptr.as_ptr() }
    }

    /// Runs `cleanup` at the end of the scope: after the body and all children have ended, whatever the way out (a
    /// value, a panic, an abort), before the values that the scope owns are dropped, and before whoever opened the scope
    /// goes on. What was registered last runs first.
    ///
    /// No cancel reaches it. It is dropped unfinished only if it takes longer than `limit`. Children that it spawns in a
    /// scope that has been aborted are dropped unpolled.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mut log = Vec::new();
    /// treescope::block_on(async |scope| {
    ///     let log = &*scope.alloc(std::sync::Mutex::new(&mut log));
    ///     scope.defer(Duration::from_secs(1), async { log.lock().unwrap().push("cleaned up") });
    ///     scope.spawn(async { log.lock().unwrap().push("child") });
    /// });
    /// assert_eq!(log, ["child", "cleaned up"]);
    /// ```
    pub fn defer<F>(&'scope self, limit: Duration, cleanup: F)
    where
        F: Future<Output = ()> + Send + 'scope,
    {
        // SAFETY: `'scope` data outlives the deferred future: the node drops it before its values, and before it ends.
        let deferred = unsafe { Deferred::new(cleanup, limit) };
        self.node.defer(deferred);
    }

    /// Requests a cancel: this scope and all below can see it ([`cancelled`](Scope::cancelled),
    /// [`is_cancelled`](Scope::is_cancelled)) and wind up; what has not ended after `grace` is aborted.
    ///
    /// The request is for the scope's own body as well.
    #[track_caller]
    pub fn cancel(&self, grace: Duration) {
        let location = Location::caller();
        self.node.request(grace, |node| node.cause_at(location, String::new()));
    }

    /// [`cancel`](Scope::cancel), with a reason that the [cause](Scope::cause) tells.
    #[track_caller]
    pub fn cancel_because(&self, grace: Duration, reason: impl Into<String>) {
        let location = Location::caller();
        self.node.request(grace, |node| node.cause_at(location, reason.into()));
    }

    /// Waits until a cancel is requested of this scope, here or above, outside of any shield.
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled::of(&self.node)
    }

    /// Whether a cancel has been requested, or the scope aborted. To be woken when one is, await [`cancelled`](Scope::cancelled).
    pub fn is_cancelled(&self) -> bool {
        self.node.hears_of_cancel()
    }

    /// Why the scope is being cancelled; `None` if it is not.
    pub fn cause(&self) -> Option<Cause> {
        if self.node.hears_of_cancel() { self.node.cause() } else { None }
    }

    /// Forces the scope to end: its body and all descendants are dropped at their next await. A scope below that waits for
    /// scopes further below is told when what runs or is queued there comes to an await.
    ///
    /// Whoever awaits the scope's handle is told that there is no value by an unwind without a message; so this
    /// is for a scope whose value nobody needs. Idempotent.
    #[track_caller]
    pub fn abort(&self) {
        let location = Location::caller();
        self.node.abort(|node| node.cause_at(location, String::new()));
    }

    /// Forces the scope's children to end, but not its body, which goes on and gives its value. Children spawned from
    /// now on are dropped unpolled.
    pub fn abort_children(&self) {
        self.node.abort_children();
    }

    /// Whether the scope has been aborted or is failing.
    pub fn is_aborted(&self) -> bool {
        self.node.hear();
        self.node.is_aborted()
    }

    /// Takes no more children from now on. Those that live go on.
    pub fn close(&self) {
        self.node.close();
    }

    /// Closes the scope and waits until its children have ended, for `limit` at most.
    ///
    /// # Errors
    /// What is still alive, by name, if time runs out. It goes on living; to end it, [`abort`](Scope::abort) or
    /// [`abort_children`](Scope::abort_children).
    ///
    /// # Panics
    /// If polled anywhere but in the scope's own body or cleanup: a child that waited for its siblings *and itself* would wait for
    /// ever.
    pub async fn drain(&self, limit: Duration) -> Result<(), Survivors> {
        self.close();
        crate::time::timeout(limit, Drained::of(&self.node)).await.map_err(|_| self.node.survivors())
    }

    /// Where the scope is in the tree: names from the root down, separated by `/`.
    pub fn path(&self) -> String {
        self.node.path()
    }

    /// The scope's name.
    pub fn id(&self) -> ScopeId {
        self.node.id()
    }

    /// How many direct children are alive now: a figure for people and tests, stale as soon as it is read. While the
    /// scope's body is being polled, other threads may not see the children that it spawns in this poll.
    pub fn live_children(&self) -> u64 {
        self.node.live_children()
    }
}

impl std::fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope")
            .field("id", &self.id())
            .field("live_children", &self.live_children())
            .finish_non_exhaustive()
    }
}

/// What a spawn on a closed scope does.
#[track_caller]
#[cold]
pub(crate) fn closed() -> ! {
    panic!("the scope is closed: it takes no more children")
}
