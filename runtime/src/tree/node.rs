//! One node of the tree.
//!
//! A node lies where its owner lies: a child scope's inside that scope's own task ([`ScopeTask`]), the root's on
//! the stack frame of the blocked thread. It is never moved, and never handed to user code by value; users hold
//! `&Scope`, which cannot be forgotten, leaked or dropped early in any way that matters.
//!
//! # Who touches what
//!
//! ```text
//!   Scope::spawn ──child_added──▶ ┌───────────────────────────────┐ ◀──children_ended── the thread that ran them
//!   Child::poll ──park/unpark──▶  │ state   held{parked, rare}    │ ◀──fail/cancel── a child, the body, a value
//!   Scope::alloc ──keep──▶        │ setup           waiter        │ ◀──is_blank, poll_drained, drop_values── own task only
//!                                 └───────────────────────────────┘
//! ```
//!
//! `held` is behind one lock, taken once when a child first parks and once when a parked child ends, never for a
//! child that does not park, unless it is for a cancel's sake ([`super::listing`]). No user code runs under it: wakers on the
//! list are the runtime's own; payloads, values and users' wakers are dropped or called after the lock is released. One lock of
//! one node at a time; the one exception, naming survivors, goes down the tree only ([`super::survivors`]).
//!
//! This file: children and the end. How a cancel goes down and a failure up is in [`super::cancel`].
//!
//! [`ScopeTask`]: crate::task::scope_task

use std::marker::PhantomPinned;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc as StdArc;
use std::task::{Poll, Waker};
use std::time::Instant;

use super::cause::Cause;
use super::deferred::Deferred;
use super::drain::DrainSignal;
use super::failure::{self, Payload};
use super::id::ScopeId;
use super::kept_waker::KeptWaker;
use super::key::Binding;
use super::listing::Listed;
use super::parked::{Link, ParkedList};
use super::root::RootSignal;
use super::setup::Setup;
use super::state::{AfterEnd, Mark, NodeState, Seen, Wait};
use super::values::Values;
use super::watchers::Watchers;
use crate::context;
use crate::sched::{SchedRef, TimerKey};
use crate::sync::{Mutex, UnsafeCell};
use crate::task::cell::TaskRef;

/// See the [module](self).
pub(crate) struct Node {
    id: ScopeId,
    pub(super) state: NodeState,
    sched: SchedRef,
    /// How many marks had been made when what is above the node was known to bear none that the node would not see.
    pub(super) heard: u32,
    pub(super) listed: Listed,
    pub(super) up: Up,
    /// `None`: a plain scope.
    setup: Seldom<Setup>,
    /// Where the scope was opened.
    location: &'static Location<'static>,
    /// Belongs to the node's own task, except from `start_wait` to `waiter_taken`: then to the last child.
    waiter: UnsafeCell<KeptWaker>,
    pub(super) held: Mutex<Held>,
    /// Children point here, the parent's list points at the link in `up`.
    _pinned: PhantomPinned,
}

/// What is above a node.
pub(super) enum Up {
    /// The thread that blocks in the root.
    Root(StdArc<RootSignal>),
    /// The scope this node was opened in, this node's task, and its place on the list there.
    Scope { parent: NodeRef, task: TaskRef, link: Link },
}

/// Behind the node's lock.
pub(super) struct Held {
    pub(super) parked: ParkedList,
    /// What most nodes never have.
    rare: Seldom<Rare>,
}

/// A box that most nodes do without. The look whether it is there is all that its drop costs them; `Option<Box<_>>`'s is a
/// call.
struct Seldom<T>(Option<Box<T>>);

impl<T> Drop for Seldom<T> {
    #[inline]
    fn drop(&mut self) {
        #[cold]
        fn drop_cold<T>(it: T) {
            drop(it);
        }
        if let Some(it) = self.0.take() {
            drop_cold(it);
        }
    }
}

/// What a node comes to hold if it fails, is cancelled, owns values or defers futures.
#[derive(Default)]
pub(super) struct Rare {
    /// The first failure; later ones are discarded.
    pub(super) failure: Option<Payload>,
    pub(super) cause: Option<Cause>,
    pub(super) values: Values,
    pub(super) deferred: Vec<Deferred>,
    /// The node's own deadline has aborted it. Not told by the cause: an earlier request may be that.
    pub(super) late: bool,
    /// When the node aborts itself: the end of a grace period, or of a shield.
    pub(super) abort_at: Option<Instant>,
    /// The armed timer, and for when.
    pub(super) alarm: Option<(Instant, TimerKey)>,
    /// Who waits for a request to be seen.
    pub(super) watchers: Watchers,
    /// Who waits in `drain`, while the body or a cleanup runs.
    pub(super) draining: Option<StdArc<DrainSignal>>,
}

impl Held {
    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.0.get_or_insert_default()
    }

    pub(super) fn rare_if_any(&mut self) -> Option<&mut Rare> {
        self.rare.0.as_deref_mut()
    }
}

// SAFETY: `waiter` is handed over by the protocol in `state.rs`; all else is `Sync` or behind the lock.
unsafe impl Sync for Node {}
// SAFETY: what a node owns is `Send` (payloads, wakers, values by `keep`'s bound, deferred futures by `Deferred::new`'s contract), or, in
// a local tree, whose values and deferred futures are `Send` in name only, stays on the thread that made it.
unsafe impl Send for Node {}

/// A node's address, held by what the node waits for: a live child, its body, a handle of one of its children, or the worker
/// that is counting a child out.
///
/// Invariant, which every holder keeps: it is used only while the node is alive and pinned. (A leaked handle leaves one
/// behind, which nobody uses any more.)
#[derive(Clone, Copy)]
pub(crate) struct NodeRef(NonNull<Node>);

// SAFETY: a shared reference to a `Sync` type, without its lifetime.
unsafe impl Send for NodeRef {}
// SAFETY: as above.
unsafe impl Sync for NodeRef {}

impl std::ops::Deref for NodeRef {
    type Target = Node;

    #[inline]
    fn deref(&self) -> &Node {
        // SAFETY: alive whenever it is used, by the type's invariant.
        unsafe { self.0.as_ref() }
    }
}

impl PartialEq for NodeRef {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl std::fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NodeRef").field(&self.0).finish()
    }
}

impl Node {
    pub(crate) fn root(
        sched: SchedRef,
        signal: StdArc<RootSignal>,
        location: &'static Location<'static>,
    ) -> Self {
        Self::new(sched, Up::Root(signal), None, location)
    }

    /// The node of `task`, below `parent`.
    pub(crate) fn below(
        parent: NodeRef,
        task: TaskRef,
        setup: Option<Box<Setup>>,
        location: &'static Location<'static>,
    ) -> Self {
        Self::new(parent.sched, Up::Scope { parent, task, link: Link::of_scope() }, setup, location)
    }

    fn new(sched: SchedRef, up: Up, setup: Option<Box<Setup>>, location: &'static Location<'static>) -> Self {
        let (heard, listed) = match &up {
            Up::Root(_) => (0, Listed::root()),
            Up::Scope { parent, .. } => (parent.heard_below(), Listed::not_yet()),
        };
        let state = NodeState::new();
        if setup.as_ref().is_some_and(|setup| setup.deadline.is_some()) {
            state.set_timed();
        }
        Self {
            id: ScopeId::next(),
            state,
            sched,
            heard,
            listed,
            up,
            setup: Seldom(setup),
            location,
            waiter: UnsafeCell::new(KeptWaker::none()),
            held: Mutex::new(Held { parked: ParkedList::new(), rare: Seldom(None) }),
            _pinned: PhantomPinned,
        }
    }

    /// The node's address.
    ///
    /// # Safety
    /// The caller keeps [`NodeRef`]'s invariant: what uses the result is a child that is counted in, or will be before the
    /// node's body, which is being polled, gives control back ([`child_added`](Self::child_added)); or it is the body
    /// itself. The node waits for both.
    pub(crate) unsafe fn to_ref(&self) -> NodeRef {
        NodeRef(NonNull::from(self))
    }

    pub(crate) fn id(&self) -> ScopeId {
        self.id
    }

    pub(crate) fn sched(&self) -> SchedRef {
        self.sched
    }

    pub(crate) fn setup(&self) -> Option<&Setup> {
        self.setup.0.as_deref()
    }

    pub(crate) fn location(&self) -> &'static Location<'static> {
        self.location
    }

    pub(crate) fn bindings(&self) -> &[Binding] {
        self.setup().map_or(&[], |setup| &setup.bindings)
    }

    pub(crate) fn parent(&self) -> Option<&Node> {
        match &self.up {
            Up::Root(_) => None,
            Up::Scope { parent, .. } => Some(parent),
        }
    }

    /// The node's own task. `None` for the root.
    #[inline]
    pub(crate) fn task(&self) -> Option<TaskRef> {
        match &self.up {
            Up::Root(_) => None,
            Up::Scope { task, .. } => Some(*task),
        }
    }

    // ---- children ------------------------------------------------------------------------------------------

    /// Counts a child in, before its task exists; `false`, and it is not, if the node is closed. If it is the node's
    /// own body that spawns, the count is put off to the end of the body's poll ([`context::leave_body`]); if it is a
    /// sibling, one that has ended before may leave its count ([`context::take_over_count`]).
    #[inline]
    #[must_use]
    pub(crate) fn child_added(node: NodeRef) -> bool {
        if context::is_body_of(&node) {
            return !node.is_closed() && context::put_off_child_added(&node);
        }
        // A close that comes between the two finds the new child counted, and waits for it.
        (!node.is_closed() && context::take_over_count(node)) || node.state.child_added_if_open()
    }

    /// Counts in what was put off.
    #[inline]
    pub(crate) fn children_added(&self, n: u64) {
        self.state.children_added(n);
    }

    /// Whether counting `n` children out would end a wait.
    #[inline]
    pub(crate) fn waits_only_for(&self, n: u64) -> bool {
        self.state.waits_only_for(n)
    }

    /// Counts `n` children out, after their futures and untaken outputs are gone. The node may be gone on return.
    #[inline]
    pub(crate) fn children_ended(node: NodeRef, n: u64) {
        match node.state.children_ended(n) {
            AfterEnd::Leave => {}
            AfterEnd::WakeWaiter => {
                let waker = node.waiter.with_mut(|slot| {
                    // SAFETY: `WakeWaiter` makes this thread the last child: the slot is ours until
                    // `waiter_taken`.
                    unsafe { &mut *slot }.take()
                });
                node.state.waiter_taken();
                // The node may be gone from here on; the waker is a reference of its own.
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
    }

    pub(crate) fn live_children(&self) -> u64 {
        self.state.live_children(context::put_off_of(self))
    }

    /// Whether the node takes no more children.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.is(Mark::Closed)
    }

    /// Takes no more children from now on.
    pub(crate) fn close(&self) {
        self.state.mark(Mark::Closed);
    }

    // ---- values and the end ----------------------------------------------------------------------------------

    /// Gives `value` to the node. The pointer is good until [`drop_values`](Self::drop_values).
    pub(crate) fn keep<S: Send>(&self, value: S) -> NonNull<S> {
        let ptr = self.held.lock().rare().values.push(value);
        self.state.set_holds();
        ptr
    }

    /// Waits until no child lives. Only the node's own task calls it, always with a waker of that same task:
    /// the first one is kept for the whole wait.
    #[inline]
    pub(crate) fn poll_drained(&self, waker: &Waker) -> Poll<()> {
        match self.state.seen() {
            Seen::Drained => return Poll::Ready(()),
            // A spurious poll, or the last child is between its two steps. Its wake is still to come.
            Seen::Waiting => return self.poll_after_drain(waker),
            Seen::Counting => {}
        }
        match self.begin_wait(waker.clone()) {
            Wait::Pending => Poll::Pending,
            Wait::Drained => Poll::Ready(()),
        }
    }

    /// Whether the node may end as it is: no child lives, and there is nothing to look at, to wait for or to pass on.
    #[inline]
    pub(crate) fn is_blank(&self) -> bool {
        self.state.is_blank()
    }

    /// Leaves `waker` for the last child. Called by the node's own task, be it in its body or a cleanup, having seen
    /// [`Seen::Counting`].
    pub(super) fn begin_wait(&self, waker: Waker) -> Wait {
        self.waiter.with_mut(|slot| {
            // SAFETY: no wait is under way, so the slot belongs to the node's own task, which is the caller.
            unsafe { *slot = KeptWaker::some(waker) };
        });
        self.state.start_wait()
    }

    /// A wait is under way, and it may be one that the body, or a cleanup, began in [`drain`](super::drain) and then gave up: its
    /// wake goes to the node's own task as well.
    fn poll_after_drain(&self, waker: &Waker) -> Poll<()> {
        let draining = self.held.lock().rare_if_any().and_then(|rare| rare.draining.clone());
        if let Some(signal) = draining {
            signal.put_own(waker);
            if self.state.seen() == Seen::Drained {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Drops the node's values, newest first; `true` if there were any, so that whoever they spawned is waited
    /// for again. A value whose drop panics fails the node and skips nobody.
    ///
    /// # Safety
    /// The node's body has been dropped, and since then [`poll_drained`](Self::poll_drained) said `Ready`.
    #[inline]
    pub(crate) unsafe fn drop_values(&self) -> bool {
        // SAFETY: by contract.
        self.state.holds() && unsafe { self.drop_kept_values() }
    }

    /// # Safety
    /// As for [`drop_values`](Self::drop_values).
    #[cold]
    unsafe fn drop_kept_values(&self) -> bool {
        let mut any = false;
        loop {
            let mut held = self.held.lock();
            // SAFETY: the body and all descendants are gone, so nothing borrows from the values any more. What
            // a value's own drop spawns meanwhile cannot name this node's scope, and so borrows none of them.
            let Some(value) = held.rare_if_any().and_then(|rare| unsafe { rare.values.pop() }) else {
                return any;
            };
            drop(held);
            any = true;
            if let Err(payload) = failure::guard(|| drop(value)) {
                self.fail(payload, None);
            }
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}
