//! What the models of whole runtimes share.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::task::{Poll, Waker};
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread::{self, JoinHandle};
use treescope::model::Borrowed;
use treescope::{Builder, Runtime, Scope};

use super::{all_is_shown, asleep};

/// What a virtual clock moves by.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// One for all executions: its default asks the system how many processors there are, which takes as long as a short
/// execution.
pub(super) fn builder() -> Builder {
    static BUILDER: OnceLock<Builder> = OnceLock::new();
    BUILDER.get_or_init(Runtime::builder).clone()
}

pub(super) fn runtime(workers: usize) -> Runtime {
    builder().worker_threads(workers).build().expect("no system resource is needed under loom")
}

/// One worker, and a clock that jumps when nothing else can happen: an instant that is forgotten is a deadlock.
pub(super) fn with_virtual_clock() -> Runtime {
    builder().worker_threads(1).virtual_clock().build().expect("no system resource is needed under loom")
}

/// Runs `body`, whose root is aborted.
pub(super) fn aborted(body: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(body)).is_err(), "an aborted root has no value");
}

/// Aborts a root beside what `begin` spawns, which holds a last use of what the root borrows.
pub(super) fn abort_beside(
    start: impl FnOnce() -> Runtime,
    begin: impl for<'scope, 'env> FnOnce(&'scope Scope<'scope, 'env>, LastUse<'env>),
) {
    let runtime = asleep(start);
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            begin(scope, LastUse(&borrowed));
            scope.abort();
        });
    });
    drop(borrowed);
    all_is_shown();
}

/// What a model is about has happened when this is dropped.
pub(super) struct Shown;

impl Drop for Shown {
    fn drop(&mut self) {
        all_is_shown();
    }
}

/// Uses what it borrows when it is dropped.
pub(super) struct LastUse<'a>(pub(super) &'a Borrowed);

impl Drop for LastUse<'_> {
    fn drop(&mut self) {
        self.0.used();
    }
}

/// What is waited for, and who waits.
pub(super) type Shared = Arc<(AtomicBool, Mutex<Option<Waker>>)>;

/// Gives what is waited for, and wakes who waits, perhaps when that is over.
pub(super) fn giver(shared: &Shared) -> JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || {
        shared.0.store(true, Ordering::Release);
        let waker = shared.1.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    })
}

/// Waits for it.
pub(super) async fn taker(shared: &Shared) {
    poll_fn(|cx| {
        *shared.1.lock().unwrap() = Some(cx.waker().clone());
        if shared.0.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
