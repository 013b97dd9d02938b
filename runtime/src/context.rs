//! What the current thread is to a runtime: a worker, a blocking root, a blocking-pool thread, or none of these.
//!
//! One thread-local of plain cells, const-initialised and without a destructor: reading it costs a few
//! instructions, and it can be read from other thread-locals' destructors, where a root may be opened too.
//!
//! Entering is always a guard that puts back what was there before: a root may be opened inside a root, or inside a
//! worker of another runtime.

use std::cell::Cell;
use std::ptr::NonNull;

use crate::driver::Driver;
use crate::sched::SchedRef;
use crate::sched::budget::Budget;
use crate::sched::worker::Worker;
use crate::sync::Arc;
use crate::tree::id::Block;
use crate::tree::node::NodeRef;

crate::sync::thread_local_const! {
    static CONTEXT: Context = Context::new();
}

/// Invariant: `worker`, if set, is alive and belongs to `sched`; both are set by a guard that lives in a frame of
/// this thread below everything that reads them.
struct Context {
    /// The scheduler that this thread is a worker of, whatever roots are nested on top; never unset while it is one.
    home: Cell<Option<SchedRef>>,
    sched: Cell<Option<SchedRef>>,
    worker: Cell<Option<NonNull<Worker>>>,
    /// The parent of the task that ended in the poll under way.
    ended: Cell<Option<NodeRef>>,
    budget: Budget,
    /// Ids for the scopes that this thread opens.
    ids: Cell<Block>,
}

impl Context {
    const fn new() -> Self {
        Self {
            home: Cell::new(None),
            sched: Cell::new(None),
            worker: Cell::new(None),
            ended: Cell::new(None),
            budget: Budget::new(),
            ids: Cell::new((0, 0)),
        }
    }
}

/// Puts the context back as it was when dropped. `!Send`: it belongs to the thread that made it.
#[must_use]
pub(crate) struct Entered {
    sched: Option<SchedRef>,
    worker: Option<NonNull<Worker>>,
    ended: Option<NodeRef>,
    budget: i32,
}

fn enter(sched: SchedRef, worker: Option<NonNull<Worker>>) -> Entered {
    CONTEXT.with(|context| Entered {
        sched: context.sched.replace(Some(sched)),
        worker: context.worker.replace(worker),
        ended: context.ended.take(),
        budget: context.budget.replace(Budget::FULL),
    })
}

impl Drop for Entered {
    fn drop(&mut self) {
        CONTEXT.with(|context| {
            context.sched.set(self.sched);
            context.worker.set(self.worker);
            context.ended.set(self.ended);
            context.budget.replace(self.budget);
        });
    }
}

/// The thread blocks in a root of `sched`, or is one of its blocking-pool threads.
pub(crate) fn enter_root(sched: SchedRef) -> Entered {
    enter(sched, None)
}

/// The thread is `worker`.
///
/// # Safety
/// `worker` outlives the guard, and the guard is dropped, not forgotten.
pub(crate) unsafe fn enter_worker(sched: SchedRef, worker: &Worker) -> Entered {
    CONTEXT.with(|context| context.home.set(Some(sched)));
    enter(sched, Some(NonNull::from(worker)))
}

/// Runs `f` on the current thread's worker if it is one of `sched`'s.
#[inline]
pub(crate) fn with_worker_of<R>(sched: SchedRef, f: impl FnOnce(&Worker) -> R) -> Option<R> {
    CONTEXT.with(|context| {
        if context.sched.get() != Some(sched) {
            return None;
        }
        let worker = context.worker.get()?;
        // SAFETY: alive while it is set, by the context's invariant; this thread alone unsets it, after `f`.
        Some(f(unsafe { worker.as_ref() }))
    })
}

/// Whether the current thread is one of `sched`'s workers, be it below roots of other runtimes.
pub(crate) fn is_worker_of(sched: SchedRef) -> bool {
    CONTEXT.with(|context| context.home.get() == Some(sched))
}

/// Runs `f` with the driver of the runtime that the current thread works or blocks for. `None` on other threads.
pub(crate) fn with_driver<R>(f: impl FnOnce(&Arc<Driver>) -> R) -> Option<R> {
    let sched = CONTEXT.with(|context| context.sched.get())?;
    Some(f(sched.driver()))
}

/// The task being polled has ended; its `parent` is to be told once the task's `run` has returned.
#[inline]
pub(crate) fn note_ended(parent: NodeRef) {
    CONTEXT.with(|context| context.ended.set(Some(parent)));
}

/// Whether the task being polled has ended: what it wakes from here on are those who waited for its end.
#[inline]
pub(crate) fn is_ending() -> bool {
    CONTEXT.with(|context| context.ended.get().is_some())
}

/// What [`note_ended`] noted. Stays noted until [`run_finished`].
#[inline]
pub(crate) fn ended() -> Option<NodeRef> {
    CONTEXT.with(|context| context.ended.get())
}

/// The run of a task is over, its parent has been told.
#[inline]
pub(crate) fn run_finished() {
    CONTEXT.with(|context| context.ended.set(None));
}

/// Runs `f` with the current task's budget.
#[inline]
pub(crate) fn with_budget<R>(f: impl FnOnce(&Budget) -> R) -> R {
    CONTEXT.with(|context| f(&context.budget))
}

/// Runs `f` with the current thread's block of ids.
#[inline]
pub(crate) fn with_ids<R>(f: impl FnOnce(&Cell<Block>) -> R) -> R {
    CONTEXT.with(|context| f(&context.ids))
}
