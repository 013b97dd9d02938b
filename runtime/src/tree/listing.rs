//! Which scopes are on the list of the scope above, so that a cancel reaches them, and who puts them there.
//!
//! A plain child that is parked is on its scope's list of the [parked](super::parked). A *scope's* task that is parked need not be,
//! if it has asked a scope below to wake it when that ends (`JoinState::leave_to_above`, which nobody takes back): most scopes of a tree
//! of computations wait for nothing else, and a place on a list is a lock taken twice. Such a scope is **unlisted**.
//!
//! # Who reaches an unlisted scope
//!
//! ```text
//!                 listed ◀────────────── unlisted ◀── unlisted ◀── … ◀── queued or running
//!                   ▲         asked         │   asked                          │
//!   cancel, by the list                     └───────────── list_path ◀─────────┘ Node::hear, at each poll of a scope
//!                                                                                Node::park, park_self: when somebody parks on a list
//! ```
//!
//! The scope that it has asked has not ended, and is itself queued, running, listed, or unlisted, having asked another one. Going
//! on like this one comes to a scope that is queued or running, or to one on a list. So these are seen to:
//!
//! 1. **Whoever parks on a list puts all scopes above it on theirs** ([`Node::list_path`]), from below to above, up to the first
//!    that is listed. What is above a listed scope is listed, or about to be by the thread that did so below. (To reach everybody in the
//!    end it would do if scopes did so. A plain child does because what computes meanwhile, without an await, may be waiting for
//!    that child.)
//! 2. **Whoever is put on a list looks for the mark that the cancel of that list has left** ([`cancel`](super::cancel): mark first, then
//!    the list; list first, then the mark), and if there is one the scope is woken. So it does not matter which of the two came first.
//! 3. **A scope that goes on and never parks hears of it.** Each mark is counted, in one number a runtime ([`MarksMade`]), and a scope that
//!    is polled and unlisted compares that with the number at which its path was known to be unmarked; if it differs, it puts the
//!    path on the lists ([`Node::hear`]).
//!
//! The number that a scope compares with is the one of the scope above, if that is unlisted: a mark further up that the one
//! above has not heard of is one for the new scope to hear of, too. Below a listed scope it is the present one: what was marked above
//! comes down by the lists, and is counted anew at every level.
//!
//! When the one it has asked ends, the scope is polled, and goes on to ask another, or parks on the list. A mark of its own wakes its
//! task directly, unless its own poll sets it: it looks before it parks.
//!
//! A poll that does not end may still wait for a cancel. So the path is listed, too, for whoever asks whether there is one
//! ([`Node::hears_of_cancel`], [`Node::watch`]), and for a task that cancels some scope or blocks in another root
//! ([`list_current`]).
//!
//! # What this costs
//!
//! A cancel that comes while the last of such a path lies in a queue, or computes without an await, reaches the scopes on the path when
//! that poll comes or is over, and not before; it drops their bodies then. Their end had to wait for it anyway. But a poll that blocks its
//! thread, by means that are not this crate's, until the *body* of a scope above is dropped, waits for ever if nobody on the path has ever
//! parked. Rejected: a walk over what the workers are running, which would have to keep that alive.
//!
//! Models: `listing::*`.

use std::ptr::NonNull;

use super::node::{Node, NodeRef, Up};
use super::parked::ParkedList;
use super::state::Orders;
use crate::context;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// How many marks have been made in a runtime.
///
/// It wraps: no scope of a path would have to be polled at any other time than after so many marks for them to be missed.
///
/// A line of memory of its own: every poll of a scope reads it, and what else a scheduler holds is written often.
#[repr(align(64))]
pub(crate) struct MarksMade(AtomicU32);

impl MarksMade {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// A node has been marked.
    fn one_more(&self) {
        // Release: pairs with Acquire in `so_far`: the mark is there.
        self.0.fetch_add(1, Ordering::Release);
    }

    #[inline]
    pub(crate) fn so_far(&self) -> u32 {
        // Acquire: pairs with Release in `one_more`: a scope that is opened at this number sees the marks that it counts.
        self.0.load(Ordering::Acquire)
    }
}

/// Whether a scope was ever put on the list of the one above. Written under that list's lock.
pub(super) struct Listed(AtomicBool);

impl Listed {
    pub(super) fn not_yet() -> Self {
        Self(AtomicBool::new(false))
    }

    /// There is no list above the root.
    pub(super) fn root() -> Self {
        Self(AtomicBool::new(true))
    }

    pub(super) fn note(&self) {
        // Relaxed: see `is`.
        self.0.store(true, Ordering::Relaxed);
    }

    #[inline]
    fn is(&self) -> bool {
        // Relaxed: to the scope's end, which must not miss it, it was noted by the scope itself, or by somebody below, or a thread
        // that one of these waited for, before they were counted out. To others it is a hint: whoever misses it finds the scope on
        // the list, under the lock.
        self.0.load(Ordering::Relaxed)
    }
}

/// Puts the path of the task that is being polled on this thread, if any, on the lists. Called by whoever may go on to wait, without an
/// await, for what a cancel brings about: it cancels some scope, be it the first to do so or not, or blocks in another root.
pub(crate) fn list_current() {
    if let Some(node) = context::current_node() {
        node.list_path();
    }
}

impl Node {
    /// Whether the node's own task was ever put on the list above. So is the root, above which there is none.
    #[inline]
    pub(crate) fn is_listed(&self) -> bool {
        self.listed.is()
    }

    /// At which number of marks a new scope below begins to listen.
    #[inline]
    pub(super) fn heard_below(&self) -> u32 {
        if self.is_listed() { self.sched().marks().so_far() } else { self.heard }
    }

    /// Counts a mark that the node has got.
    pub(super) fn tell(&self) {
        self.sched().marks().one_more();
    }

    /// Whether a cancel has been requested of the node, for whoever asks again and again.
    pub(crate) fn hears_of_cancel(&self) -> bool {
        self.hear();
        self.is_cancelled()
    }

    /// Sees to it that a mark above comes down to the node, if any may have been made since it was opened.
    #[inline]
    pub(crate) fn hear(&self) {
        if !self.is_listed() && self.heard != self.sched().marks().so_far() {
            self.list_path_slow();
        }
    }

    /// Puts the node on the list above it, and the one above on its own, and so on.
    #[inline]
    pub(crate) fn list_path(&self) {
        if !self.is_listed() {
            self.list_path_slow();
        }
    }

    #[cold]
    fn list_path_slow(&self) {
        // SAFETY: used in this function. The caller is the node's own task, or somebody below, or a thread that one of these waits
        // for: the node is alive, and so is all above it.
        let mut at: NodeRef = unsafe { self.to_ref() };
        while !at.is_listed()
            && let Some(parent) = at.list()
        {
            at = parent;
        }
    }

    /// Puts the node on the list above, and wakes its task if there is something for it to take over. Gives the node above.
    fn list(&self) -> Option<NodeRef> {
        let Up::Scope { parent, task, .. } = &self.up else { return None };
        let mut held = parent.held.lock();
        self.enter_list(&mut held.parked);
        drop(held);
        if parent.orders() != Orders::GoOn {
            // SAFETY: the node, which is alive during the call, lies in the task.
            unsafe { task.wake() };
            // Whoever asks whether it is cancelled may go on asking, and have this worker to itself.
            self.sched().nudge();
        }
        Some(*parent)
    }

    /// Puts the node on `list`, the one above.
    pub(super) fn enter_list(&self, list: &mut ParkedList) {
        let Up::Scope { task, link, .. } = &self.up else { return };
        // SAFETY: the node lies in the task, and is alive during the call.
        let waker = unsafe { task.lent_waker() };
        // SAFETY: the node is pinned, its task is a child of the list's node, and `unpark_self` takes the link off before that ends; until
        // then it holds its memory, which is what the waker refers to.
        unsafe { list.insert(NonNull::from(link), Some(NonNull::from(self)), &waker) };
        self.listed.note();
    }
}
