//! A task in a cell of async-task's: all that this crate asks of it.
//!
//! So are closures on the blocking pool, and the plain children of a local scope, which one thread runs between two looks at its I/O. What
//! our own cell saves ([`super::own`]) is not felt there, so theirs is the older and better known one.

use std::future::Future;

use async_task::{ScheduleInfo, WithInfo};

use crate::tree::node::NodeRef;

/// What every task carries beside its future. Kept here, and not in the schedule function, because async-task
/// spares two reference-count operations a wake if that function has no size.
///
/// `parent` counts the task until it has been run to its end. It is used with a `Runnable` in hand only, and so while it is
/// alive; the task itself finds it in the [context](crate::context), where [`run`](super::run) puts it, and need not keep it a second time.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(super) parent: NodeRef,
}

/// A task that is queued or running.
pub(crate) type Runnable = async_task::Runnable<Meta>;

/// A task's output slot, as its handle holds it: detached, never dropped, for that would close the task, whose end the tree
/// alone decides.
pub(super) type Slot<T> = async_task::Task<T, Meta>;

/// Makes a task; see [`super::new_unhurried`].
///
/// # Safety
/// As there.
#[inline]
pub(super) unsafe fn new<F: Future>(
    parent: NodeRef,
    make: impl FnOnce() -> F,
) -> (Runnable, Slot<F::Output>) {
    let builder = async_task::Builder::new().metadata(Meta { parent });
    // SAFETY: not `Send`, not `'static` are allowed by the contract above; the schedule function is a plain
    // function, hence `Send`, `Sync` and `'static`.
    unsafe { builder.spawn_unchecked(|_| make(), WithInfo(schedule)) }
}

/// async-task's schedule function: the task was woken. A first scheduling does not come through here.
fn schedule(runnable: Runnable, info: ScheduleInfo) {
    let sched = runnable.metadata().parent.sched();
    sched.schedule_woken(runnable.into(), info.woken_while_running);
}
