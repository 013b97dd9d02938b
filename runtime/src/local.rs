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

mod builder;
mod kinds;
mod race;
mod scope;

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

use crate::runtime::Builder;
use crate::sched::worker::{self, Worker};
use crate::task::body::Kind;
use crate::tree::failure::Payload;
use crate::tree::node::Node;
use crate::tree::root;
use crate::tree::scope::Scope;

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
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the name for threads, which those of the blocking pool have, contains a zero
    /// byte; otherwise what the system says to a new epoll or kqueue instance.
    pub fn build_local(mut self) -> io::Result<LocalRuntime> {
        self.check_thread_name()?;
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
