//! Making, scheduling and running a task: all that this crate asks of async-task.
//!
//! What outlives what:
//!
//! - A `Runnable` exists while the task is queued or running. The future is not finished then, its parent has
//!   counted it, so the whole chain up to the blocked root is alive, and with it the scheduler.
//! - A `Waker` is `'static` and may outlive everything. It touches the task's allocation, which it keeps alive,
//!   and, only if it turns the task from parked to queued, parent and scheduler: but then a `Runnable` exists.
//!   Metadata and schedule function have nothing to drop, so a last waker dropped years later touches nothing else.
//! - What a wake from a foreign thread touches *after* it has pushed the `Runnable` is protected by the
//!   scheduler's own count of such threads ([`Visitors`](crate::sched::Visitors)).

use std::future::Future;

use async_task::{ScheduleInfo, Task, WithInfo};

use crate::context;
use crate::tree::node::NodeRef;

/// What every task carries beside its future. Kept here, and not in the schedule function, because async-task
/// spares two reference-count operations a wake if that function has no size.
///
/// `parent` counts the task until it has been run to its end. It is used with a `Runnable` in hand only, and so while it is
/// alive; the task itself finds it in the [context], where [`run`] puts it, and need not keep it a second time.
#[derive(Debug)]
pub(crate) struct Meta {
    parent: NodeRef,
}

/// A task that is queued or running.
pub(crate) type Runnable = async_task::Runnable<Meta>;

/// A task's output slot, as its handle holds it.
pub(crate) type Slot<T> = async_task::FallibleTask<T, Meta>;

/// Makes a task of the future that `make` gives; the caller queues it. `make` does not panic.
///
/// A function and no future, so that what wraps the user's is written where it is to lie: built beforehand it is copied,
/// field after field and then in larger pieces, which the processor's store buffer cannot forward (a tenth of a spawn).
///
/// # Safety
/// Until the task has been run to its end, whatever the future borrows stays alive, and so do `parent` and its scheduler.
/// The future may be sent to other threads, or is polled and dropped by its scheduler's one thread; a foreign wake touches the header
/// of its task alone, to queue it there.
#[inline]
pub(crate) unsafe fn new<F: Future>(
    parent: NodeRef,
    make: impl FnOnce() -> F,
) -> (Runnable, Slot<F::Output>) {
    let builder = async_task::Builder::new().metadata(Meta { parent });
    // SAFETY: not `Send`, not `'static` are allowed by the contract above; the schedule function is a plain
    // function, hence `Send`, `Sync` and `'static`.
    let (runnable, task): (Runnable, Task<F::Output, Meta>) =
        unsafe { builder.spawn_unchecked(|_| make(), WithInfo(schedule)) };
    (runnable, task.fallible())
}

/// Whether the two were spawned in the same scope.
#[inline]
pub(crate) fn are_siblings(one: &Runnable, other: &Runnable) -> bool {
    one.metadata().parent == other.metadata().parent
}

/// async-task's schedule function: the task was woken. A first scheduling does not come through here.
fn schedule(runnable: Runnable, info: ScheduleInfo) {
    let sched = runnable.metadata().parent.sched();
    sched.schedule_woken(runnable, info.woken_while_running);
}

/// Runs a task once, and if it ended, tells its parent.
///
/// A panic that leaves async-task's `run` is none of the user's (those are caught inside) and would leave a task
/// half-counted: the process ends.
#[inline]
pub(crate) fn run(runnable: Runnable) {
    struct NoUnwind;
    impl Drop for NoUnwind {
        fn drop(&mut self) {
            crate::sync::internal_error("a task unwound into the scheduler");
        }
    }
    let no_unwind = NoUnwind;
    context::begin_run(runnable.metadata().parent);
    runnable.run();
    context::finish_run();
    std::mem::forget(no_unwind);
}
