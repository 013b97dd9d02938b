//! What the current thread is to a runtime: a worker, a blocking root, a blocking-pool thread, or none of these.
//!
//! One thread-local of plain cells, const-initialised and without a destructor: reading it costs a few
//! instructions, and it can be read from other thread-locals' destructors, where a root may be opened too.
//!
//! Entering is always a guard that puts back what was there before: a root may be opened inside a root, or inside a
//! worker of another runtime.
//!
//! [`counts`]: what is put off of counting children in and out.

mod counts;

use std::cell::Cell;
use std::ptr::NonNull;

use crate::driver::Driver;
use crate::sched::SchedRef;
use crate::sched::budget::Budget;
use crate::sched::worker::Worker;
use crate::sync::Arc;
use crate::tree::id::Block;
use crate::tree::listing;
use crate::tree::node::{Node, NodeRef};
use crate::tree::parked::Link;
use crate::tree::setup::Label;
use counts::Body;
pub(crate) use counts::{
    count_in, count_out, enter_body, is_body_of, leave_body, note_asked, put_off_child_added, put_off_of,
    take_over_count,
};

crate::sync::thread_local_const! {
    static CONTEXT: Context = Context::new();
}

/// Invariant: `worker`, if set, is alive and belongs to `sched`; both are set by a guard that lives in a frame of
/// this thread below everything that reads them.
struct Context {
    /// The innermost frame in which this thread is a worker, whatever roots are nested on top.
    home: Cell<Option<NonNull<HomeLink>>>,
    sched: Cell<Option<SchedRef>>,
    worker: Cell<Option<NonNull<Worker>>>,
    /// The parent of the task that ended in the poll under way, until it is told.
    ended: Cell<Option<NodeRef>>,
    /// Whether a node is being told of its children's ends: it may be gone before that is over.
    telling: Cell<bool>,
    /// The scope that a handle being let go belongs to.
    charged: Cell<Option<NodeRef>>,
    /// Children of one node that have ended on this worker and are still to be counted out there.
    to_count_out: Cell<Option<(NodeRef, u64)>>,
    /// The body that is being polled.
    body: Cell<Option<Body>>,
    /// The parent of the task that is being run.
    parent: Cell<Option<NodeRef>>,
    /// The scope that what is being polled belongs to, and the link of the child, if it is one: alive while user code runs in the poll
    /// (between the task's last step and `finish_run`, when another thread may have ended it, none does).
    current: Cell<Option<(NodeRef, Option<NonNull<Link>>)>>,
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
            telling: Cell::new(false),
            charged: Cell::new(None),
            to_count_out: Cell::new(None),
            body: Cell::new(None),
            parent: Cell::new(None),
            current: Cell::new(None),
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
    telling: bool,
    charged: Option<NodeRef>,
    body: Option<Body>,
    parent: Option<NodeRef>,
    current: Option<(NodeRef, Option<NonNull<Link>>)>,
    budget: i32,
}

fn enter(sched: SchedRef, worker: Option<NonNull<Worker>>) -> Entered {
    listing::list_current();
    // A worker of another scheduler that blocks in a root may wait for a task that it has woken itself: its mates are told.
    let blocked = CONTEXT.with(|context| context.worker.get().and(context.sched.get()));
    if let Some(blocked) = blocked {
        blocked.nudge();
    }
    CONTEXT.with(|context| Entered {
        sched: context.sched.replace(Some(sched)),
        worker: context.worker.replace(worker),
        ended: context.ended.take(),
        telling: context.telling.take(),
        charged: context.charged.take(),
        body: context.body.take(),
        parent: context.parent.take(),
        current: context.current.take(),
        budget: context.budget.replace(Budget::FULL),
    })
}

impl Drop for Entered {
    fn drop(&mut self) {
        CONTEXT.with(|context| {
            context.sched.set(self.sched);
            context.worker.set(self.worker);
            context.ended.set(self.ended);
            context.telling.set(self.telling);
            context.charged.set(self.charged);
            context.body.set(self.body);
            context.parent.set(self.parent);
            context.current.set(self.current);
            context.budget.replace(self.budget);
        });
    }
}

/// The thread blocks in a root of `sched`, or is one of its blocking-pool threads.
pub(crate) fn enter_root(sched: SchedRef) -> Entered {
    enter(sched, None)
}

/// A frame of this thread in which it is a worker, and the one below, if any: a local root may be opened inside a worker.
#[derive(Debug)]
pub(crate) struct HomeLink {
    sched: SchedRef,
    below: Cell<Option<NonNull<HomeLink>>>,
}

impl HomeLink {
    pub(crate) fn new(sched: SchedRef) -> Self {
        Self { sched, below: Cell::new(None) }
    }
}

/// The thread is `worker`.
///
/// # Safety
/// `worker` and `home` outlive the guard, which is dropped, not forgotten.
pub(crate) unsafe fn enter_worker(worker: &Worker, home: &HomeLink) -> (Home, Entered) {
    CONTEXT.with(|context| home.below.set(context.home.replace(Some(NonNull::from(home)))));
    (Home, enter(home.sched, Some(NonNull::from(worker))))
}

/// The thread is a worker for as long as this lives.
#[must_use]
pub(crate) struct Home;

impl Drop for Home {
    fn drop(&mut self) {
        CONTEXT.with(|context| {
            if let Some(link) = context.home.get() {
                // SAFETY: outlives the guard, by `enter_worker`'s contract.
                context.home.set(unsafe { link.as_ref() }.below.get());
            }
        });
    }
}

/// Runs `f` on the current thread's worker if it is one of `sched`'s.
#[inline]
pub(crate) fn with_worker_of<R>(sched: SchedRef, f: impl FnOnce(&Worker) -> R) -> Option<R> {
    CONTEXT.with(|context| {
        if context.sched.get() != Some(sched) {
            return None;
        }
        context.with_worker(f)
    })
}

/// Runs `f` on the current thread's worker, whose-ever it is.
pub(crate) fn with_worker<R>(f: impl FnOnce(&Worker) -> R) -> Option<R> {
    CONTEXT.with(|context| context.with_worker(f))
}

impl Context {
    #[inline]
    fn with_worker<R>(&self, f: impl FnOnce(&Worker) -> R) -> Option<R> {
        let worker = self.worker.get()?;
        // SAFETY: alive while it is set, by the context's invariant; this thread alone unsets it, after `f`.
        Some(f(unsafe { worker.as_ref() }))
    }
}

/// Whether the current thread is one of `sched`'s workers, be it below roots of other runtimes.
pub(crate) fn is_worker_of(sched: SchedRef) -> bool {
    let mut at = CONTEXT.with(|context| context.home.get());
    while let Some(link) = at {
        // SAFETY: links are taken out, by `Home`, before they go away.
        let link = unsafe { link.as_ref() };
        if link.sched == sched {
            return true;
        }
        at = link.below.get();
    }
    false
}

/// The scheduler that the current thread works or blocks for. `None` on other threads.
#[inline]
pub(crate) fn sched() -> Option<SchedRef> {
    CONTEXT.with(|context| context.sched.get())
}

/// Runs `f` with that scheduler's driver.
pub(crate) fn with_driver<R>(f: impl FnOnce(&Arc<Driver>) -> R) -> Option<R> {
    Some(f(sched()?.driver()))
}

// ---- a task's run -------------------------------------------------------------------------------------------------

/// The task being polled has ended; its `parent` is to be told once the task's `run` has returned.
#[inline]
pub(crate) fn note_ended(parent: NodeRef) {
    CONTEXT.with(|context| {
        context.ended.set(Some(parent));
        // A scope's own node goes away with its task; what is dropped after it belongs to the scope above.
        context.current.set(Some((parent, None)));
    });
}

/// The parent of the task that has ended and is being dropped on this thread. It has not been told yet, so it is alive.
pub(crate) fn ended_below() -> Option<NodeRef> {
    CONTEXT.with(|context| context.ended.get())
}

/// Lets a child's value go by `f`, which may drop it: if that panics, `parent` fails. `f` itself unwinds only from a user's waker.
#[inline]
pub(crate) fn charge(parent: NodeRef, f: impl FnOnce()) {
    /// Not by hand after `f`: who stayed charged after an unwinding would be gone by the next time.
    struct Restored(Option<NodeRef>);
    impl Drop for Restored {
        fn drop(&mut self) {
            CONTEXT.with(|context| context.charged.set(self.0));
        }
    }
    let _restored = Restored(CONTEXT.with(|context| context.charged.replace(Some(parent))));
    f();
}

/// The scope that fails if the drop of a child's value panics: that of the handle being let go, else that of the task that
/// has just ended. A value that nobody takes is dropped at these two places only, and neither scope has ended there: the one
/// waits for the holders of its handles, the other for the task.
#[cold]
pub(crate) fn charged() -> NodeRef {
    CONTEXT.with(|context| match context.charged.get().or(context.ended.get()) {
        Some(parent) => parent,
        None => unreachable!("a value is dropped with its handle or at the end of its task"),
    })
}

/// Whether the task being polled has ended, or a node is being told of such ends: what is woken meanwhile are those who waited for
/// them.
#[inline]
pub(crate) fn is_ending() -> bool {
    CONTEXT.with(|context| context.ended.get().is_some() || context.telling.get())
}

/// A child of `parent` is about to be run.
#[inline]
pub(crate) fn begin_run(parent: NodeRef) {
    CONTEXT.with(|context| {
        context.parent.set(Some(parent));
        context.count_out_but_of(parent);
    });
}

/// The parent of the task that is being polled.
#[inline]
pub(crate) fn parent() -> NodeRef {
    match CONTEXT.with(|context| context.parent.get()) {
        Some(parent) => parent,
        None => unreachable!("tasks are polled by `cell::run` alone"),
    }
}

/// What the task being polled runs belongs to the scope `current`: for a child its parent, for a scope's task, up to its
/// [`note_ended`], the scope's own node. `link` is the child's own, a scope's task has none.
///
/// # Safety
/// `link` stays alive until this is called again, or [`note_ended`], or until the task's run is over.
#[inline]
pub(crate) unsafe fn set_current(current: NodeRef, link: Option<NonNull<Link>>) {
    CONTEXT.with(|context| context.current.set(Some((current, link))));
}

/// The run of a task is over: counts it out if it has ended, or puts that off.
#[inline]
pub(crate) fn finish_run() {
    CONTEXT.with(|context| {
        context.current.set(None);
        if let Some(parent) = context.ended.take() {
            context.child_ended(parent);
        }
    });
}

// ---- who runs ------------------------------------------------------------------------------------------------------

/// The scope that what runs on this thread belongs to: the node whose body is being polled, or the parent of the child
/// that is.
pub(crate) fn current_node() -> Option<NodeRef> {
    CONTEXT.with(|context| match context.body.get() {
        Some(body) => Some(body.node),
        None => context.current.get().map(|(node, _)| node),
    })
}

/// Whether it is `node`'s own task that is being polled on this thread.
pub(crate) fn is_own_task_of(node: &Node) -> bool {
    CONTEXT.with(|context| match context.current.get() {
        Some((current, None)) => std::ptr::eq(&*current, node) && context.ended.get().is_none(),
        _ => false,
    })
}

/// The label of the child being polled, if it is one, and no scope's body.
pub(crate) fn current_label() -> Option<Label> {
    CONTEXT.with(|context| match context.body.get() {
        Some(_) => None,
        None => {
            let (_, link) = context.current.get()?;
            // SAFETY: alive while it is here, by `set_current`'s contract.
            link.map(|link| unsafe { link.as_ref() }.label())
        }
    })
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
