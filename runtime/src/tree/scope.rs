//! The public face of a node.

use std::future::Future;
use std::marker::PhantomData;

use super::body::ScopeBody;
use super::id::ScopeId;
use super::node::Node;
use crate::task;
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
    pub fn spawn<F>(&'scope self, future: F) -> JoinHandle<'scope, F::Output>
    where
        F: Future + Send + 'scope,
        F::Output: Send + 'scope,
    {
        task::child::spawn(&self.node, future)
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
    pub fn scope<B, T>(&'scope self, body: B) -> JoinHandle<'scope, T>
    where
        B: for<'inner> AsyncFnOnce(&'inner Scope<'inner, 'scope>) -> T
            + for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T>
            + 'scope,
        T: Send + 'scope,
    {
        task::scope_task::spawn(&self.node, body)
    }

    /// Runs a closure that blocks (file I/O, a long computation) on the runtime's bounded pool of blocking
    /// threads, as a child of this scope: it may borrow like any other child.
    ///
    /// Once started it runs to its end; a cancelled scope waits for it. One that has not started when the scope is
    /// cancelled is dropped unrun.
    ///
    /// ```
    /// let text = String::from("a b c");
    /// let words = treescope::block_on(async |scope| scope.spawn_blocking(|| text.split(' ').count()).await);
    /// assert_eq!(words, 3);
    /// ```
    pub fn spawn_blocking<F, T>(&'scope self, work: F) -> JoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        task::blocking::spawn(&self.node, work)
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

    /// Forces the scope to end: its body and all descendants are dropped at their next await.
    ///
    /// Whoever awaits the scope's handle is told that there is no value by an unwind without a message; so this
    /// is for a scope whose value nobody needs. Idempotent.
    pub fn abort(&self) {
        self.node.cancel();
    }

    /// Whether the scope has been aborted or is failing.
    pub fn is_aborted(&self) -> bool {
        self.node.is_cancelled()
    }

    /// The scope's name.
    pub fn id(&self) -> ScopeId {
        self.node.id()
    }

    /// How many direct children are alive now: a figure for people and tests, stale as soon as it is read.
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
