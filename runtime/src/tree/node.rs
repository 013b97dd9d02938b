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
//!   Child::poll ──park/unpark──▶  │ state   held{parked, failure, │ ◀──fail/cancel── a child, the body, a value
//!   Scope::alloc ──keep──▶        │         values}    waiter     │ ◀──poll_drained, drop_values── own task only
//!                                 └───────────────────────────────┘
//! ```
//!
//! `held` is behind one lock, taken once when a child first parks and once when a parked child ends, never by a
//! child that does not park. No lock of one node is taken while another's is held, and no user code runs under
//! it: wakers on the list are the runtime's own, payloads and values are dropped after the lock is released.
//!
//! # Why a cancel misses nobody
//!
//! [`Node::cancel`] sets the mark, *then* takes the lock and wakes whoever is on the list. [`Node::park`] takes the
//! lock, *then* reads the mark, and enters the list only if it is not set. If park's critical section comes first,
//! cancel finds the link; if cancel's comes first, park sees the mark (the lock orders the two) and the child
//! ends at once. A child that is queued or running is not on the list; it reads the mark before its next poll,
//! or in `park` after it. The node's own task is reached the same way through its link on *its* parent's list.
//!
//! The wake travels one level: each child scope, when polled, sees its parent's mark and cancels its own node.
//! Nothing recurses, however deep the tree.
//!
//! [`ScopeTask`]: crate::task::scope_task

use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc as StdArc;
use std::task::{Poll, Waker};

use super::failure::{self, Cancelled, Payload};
use super::id::ScopeId;
use super::parked::{Link, ParkedList};
use super::root::RootSignal;
use super::state::{AfterEnd, NodeState, Seen, Wait};
use super::values::Values;
use crate::context;
use crate::sched::SchedRef;
use crate::sync::{Mutex, UnsafeCell};

/// See the [module](self).
pub(crate) struct Node {
    id: ScopeId,
    state: NodeState,
    sched: SchedRef,
    up: Up,
    /// Belongs to the node's own task, except from `start_wait` to `waiter_taken`: then to the last child.
    waiter: UnsafeCell<Option<Waker>>,
    held: Mutex<Held>,
    /// Children point here, the parent's list points at the link in `up`.
    _pinned: PhantomPinned,
}

/// What is above a node.
enum Up {
    /// The thread that blocks in the root.
    Root(StdArc<RootSignal>),
    /// The scope this node was opened in, and this node's task's place on its list.
    Scope { parent: NodeRef, link: Link },
}

/// Behind the node's lock.
struct Held {
    parked: ParkedList,
    /// The first failure; later ones are discarded.
    failure: Option<Payload>,
    values: Values,
}

// SAFETY: `waiter` is handed over by the protocol in `state.rs`; all else is `Sync` or behind the lock.
unsafe impl Sync for Node {}
// SAFETY: what a node owns is `Send` (payloads, wakers, values by `Values::push`'s bound).
unsafe impl Send for Node {}

/// A node's address, held by what the node waits for: a live child, its body, or the worker that is counting
/// a child out.
///
/// Invariant, which every holder keeps: it is used only while the node is alive and pinned. (A leaked handle leaves one
/// behind in its output, which nobody uses any more.)
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

/// What [`Node::park`] found.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Park {
    /// On the list: a cancel will wake the task.
    Parked,
    /// The scope is cancelled: end now, nobody will wake you.
    Cancelled,
}

impl Node {
    pub(crate) fn root(sched: SchedRef, signal: StdArc<RootSignal>) -> Self {
        Self::new(sched, Up::Root(signal))
    }

    /// A node below `parent`.
    pub(crate) fn below(parent: NodeRef) -> Self {
        Self::new(parent.sched, Up::Scope { parent, link: Link::new() })
    }

    fn new(sched: SchedRef, up: Up) -> Self {
        Self {
            id: ScopeId::next(),
            state: NodeState::new(),
            sched,
            up,
            waiter: UnsafeCell::new(None),
            held: Mutex::new(Held { parked: ParkedList::new(), failure: None, values: Values::new() }),
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

    /// The scope above, and this node's link on its list. `None` for the root.
    fn above(&self) -> Option<(NodeRef, NonNull<Link>)> {
        match &self.up {
            Up::Root(_) => None,
            Up::Scope { parent, link } => Some((*parent, NonNull::from(link))),
        }
    }

    // ---- children ------------------------------------------------------------------------------------------

    /// Counts a child in, before its task exists. If it is the node's own body that spawns, the count is put off to
    /// the end of the body's poll ([`context::leave_body`]).
    #[inline]
    pub(crate) fn child_added(&self) {
        if !context::put_off_child_added(self) {
            self.state.children_added(1);
        }
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
        self.state.live_children()
    }

    /// Puts a child's link on the list, so that a cancel wakes it.
    ///
    /// # Safety
    /// `link` is pinned, belongs to a child of this node, and is unparked before it goes away.
    pub(crate) unsafe fn park(&self, link: NonNull<Link>, waker: &Waker) -> Park {
        let mut held = self.held.lock();
        if self.state.is_cancelled() {
            return Park::Cancelled;
        }
        // SAFETY: by contract; the lock is held.
        unsafe { held.parked.insert(link, waker) };
        Park::Parked
    }

    /// Takes a child's link off the list, if it is on it.
    ///
    /// # Safety
    /// `link` is alive and belongs to a child of this node.
    pub(crate) unsafe fn unpark(&self, link: NonNull<Link>) {
        let mut held = self.held.lock();
        // SAFETY: by contract; the lock is held.
        let waker = unsafe { held.parked.remove(link) };
        drop(held);
        drop(waker);
    }

    // ---- the node's own task, as a child of the node above ---------------------------------------------------

    /// [`park`](Self::park) for the node's own task: wakes come from a cancel of the parent or of the node itself.
    pub(crate) fn park_self(self: Pin<&Self>, waker: &Waker) -> Park {
        let Some((parent, link)) = self.above() else { return Park::Parked };
        let mut held = parent.held.lock();
        if parent.state.is_cancelled() || self.state.is_cancelled() {
            return Park::Cancelled;
        }
        // SAFETY: the node is pinned, its task is a child of `parent`, and calls `unpark_self` before it ends.
        unsafe { held.parked.insert(link, waker) };
        Park::Parked
    }

    /// [`unpark`](Self::unpark) for the node's own task.
    pub(crate) fn unpark_self(self: Pin<&Self>) {
        if let Some((parent, link)) = self.above() {
            // SAFETY: the link lies in this node, whose task is a child of `parent`.
            unsafe { parent.unpark(link) };
        }
    }

    /// Whether the node is cancelled, taking over a cancel of the scope above.
    pub(crate) fn is_cancelled_from_above(&self) -> bool {
        if let Some((parent, _)) = self.above()
            && parent.state.is_cancelled()
        {
            self.cancel();
        }
        self.state.is_cancelled()
    }

    // ---- failure and cancel ----------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.is_cancelled()
    }

    /// Cancels the node: its body and children are dropped at their next await. Idempotent.
    pub(crate) fn cancel(&self) {
        if !self.state.cancel() {
            return;
        }
        self.wake_parked();
        match &self.up {
            Up::Root(signal) => signal.wake_by_ref(),
            Up::Scope { parent, link } => {
                let mut held = parent.held.lock();
                // SAFETY: the link lies in this node, whose task is a child of `parent`; the lock is held.
                unsafe { held.parked.wake(NonNull::from(link)) };
            }
        }
    }

    /// Wakes all parked children, a batch per turn of the lock, so that others get it in between.
    fn wake_parked(&self) {
        const BATCH: usize = 32;
        loop {
            let mut batch: [Option<Waker>; BATCH] = [const { None }; BATCH];
            let mut held = self.held.lock();
            for slot in &mut batch {
                *slot = held.parked.pop();
            }
            let last = held.parked.is_empty();
            drop(held);
            batch.into_iter().flatten().for_each(Waker::wake);
            if last {
                // Whoever cancels may be about to drop its own future, and a destructor there to wait for a child.
                self.sched.nudge();
                return;
            }
        }
    }

    /// Records why the node fails, unless it fails already, and cancels it.
    pub(crate) fn fail(&self, payload: Payload) {
        if payload.is::<Cancelled>() {
            self.cancel();
            return;
        }
        let mut held = self.held.lock();
        let loser = if held.failure.is_none() { held.failure.replace(payload) } else { Some(payload) };
        drop(held);
        self.state.set_holds();
        self.cancel();
        if let Some(loser) = loser {
            failure::discard(loser);
        }
    }

    /// The failure to hand to the scope above.
    pub(crate) fn take_failure(&self) -> Option<Payload> {
        if self.state.holds() { self.held.lock().failure.take() } else { None }
    }

    // ---- values and the end ----------------------------------------------------------------------------------

    /// Gives `value` to the node. The pointer is good until [`drop_values`](Self::drop_values).
    pub(crate) fn keep<S: Send>(&self, value: S) -> NonNull<S> {
        let ptr = self.held.lock().values.push(value);
        self.state.set_holds();
        ptr
    }

    /// Waits until no child lives. Only the node's own task calls it, always with a waker of that same task:
    /// the first one is kept for the whole wait.
    pub(crate) fn poll_drained(&self, waker: &Waker) -> Poll<()> {
        match self.state.seen() {
            Seen::Drained => return Poll::Ready(()),
            // A spurious poll, or the last child is between its two steps. Its wake is still to come.
            Seen::Waiting => return Poll::Pending,
            Seen::Counting => {}
        }
        self.waiter.with_mut(|slot| {
            // SAFETY: no wait is under way, so the slot belongs to the node's own task, which is the caller.
            unsafe { *slot = Some(waker.clone()) };
        });
        match self.state.start_wait() {
            Wait::Pending => Poll::Pending,
            Wait::Drained => Poll::Ready(()),
        }
    }

    /// Drops the node's values, newest first; `true` if there were any, so that whoever they spawned is waited
    /// for again. A value whose drop panics fails the node and skips nobody.
    ///
    /// # Safety
    /// The node's body has been dropped, and since then [`poll_drained`](Self::poll_drained) said `Ready`.
    pub(crate) unsafe fn drop_values(&self) -> bool {
        let mut any = false;
        if !self.state.holds() {
            return any;
        }
        loop {
            let mut held = self.held.lock();
            // SAFETY: the body and all descendants are gone, so nothing borrows from the values any more. What
            // a value's own drop spawns meanwhile cannot name this node's scope, and so borrows none of them.
            let Some(value) = (unsafe { held.values.pop() }) else { return any };
            drop(held);
            any = true;
            if let Err(payload) = failure::guard(|| drop(value)) {
                self.fail(payload);
            }
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}
