//! Counting children in and out: what a thread puts off, so that one atomic operation on the node's word counts many.
//!
//! ```text
//!   Node::child_added ──body's own──▶ body ──leave_body, count_in──────────▶ Node::children_added
//!        └──────────a sibling's──▶ take_over_count
//!                                        ▲ one less
//!   finish_run ──child_ended──▶ to_count_out ──count_out, begin_run───────▶ Node::children_ended
//! ```
//!
//! *In.* The body of a scope counts in what it spawns at the end of its poll. A thief may have run such a child to its end by
//! then, so that it is counted out before it is counted in; the node's count is signed, and nobody acts on it while the body is
//! polled: a body that waits for its children (`drain`) counts in first.
//!
//! *Out.* A worker that runs many children of one node counts them out together. That is put off for as long as it runs children
//! of that same node, which cannot end without them anyway, and no longer: `begin_run` sees to it before the worker polls
//! anything else, the worker itself before it looks for work elsewhere.
//!
//! *Neither.* A child that has ended and is still counted leaves its count to a sibling that is spawned here meanwhile
//! (`take_over_count`). The node's word counts as many as before, and at no moment fewer than live, so nobody can take the
//! one or the other for the last. What the ended child did is published by the new one's end: it comes before the spawn on
//! this thread, and the spawn, by the queue and the task's own state, before that end on whatever thread. Children that spawn
//! their siblings, on several workers, so do not pass the node's cache line about for it.
//!
//! The cells are in the [`Context`], the word in [`crate::tree::state`]. Models: `counts::*`.

use super::{CONTEXT, Context};
use crate::tree::node::{Node, NodeRef};

impl Context {
    /// Counts out what was put off of other nodes than `parent`.
    #[inline]
    pub(super) fn count_out_but_of(&self, parent: NodeRef) {
        if let Some((node, n)) = self.to_count_out.get()
            && node != parent
        {
            self.count_out(node, n);
        }
    }

    /// A child of `parent` has ended: counts it out, or puts that off.
    #[inline]
    pub(super) fn child_ended(&self, parent: NodeRef) {
        let n = match self.to_count_out.get() {
            Some((node, n)) if node == parent => n + 1,
            Some((node, n)) => {
                self.count_out(node, n);
                1
            }
            None => 1,
        };
        if self.worker.get().is_none() || parent.waits_only_for(n) {
            self.count_out(parent, n);
        } else {
            self.to_count_out.set(Some((parent, n)));
        }
    }

    /// The body that is being polled on this thread, if it is `node`'s.
    #[inline]
    fn body_of(&self, node: &Node) -> Option<Body> {
        self.body.get().filter(|body| std::ptr::eq(&*body.node, node))
    }

    fn count_out(&self, node: NodeRef, n: u64) {
        self.to_count_out.set(None);
        // A parent that wakes up has waited for these ends; `is_ending` says so. It does not say whose: the node may be gone
        // while the waker runs, which a user's may for long.
        let before = self.telling.replace(true);
        Node::children_ended(node, n);
        self.telling.set(before);
    }
}

/// Whether a child of `parent` that has ended here, and is still counted, leaves its count to a new one.
#[inline]
pub(crate) fn take_over_count(parent: NodeRef) -> bool {
    CONTEXT.with(|context| match context.to_count_out.get() {
        Some((node, n)) if node == parent => {
            context.to_count_out.set((n > 1).then_some((node, n - 1)));
            true
        }
        _ => false,
    })
}

/// Counts out what was put off; `true` if there was anything, which may have woken its parent.
#[inline]
pub(crate) fn count_out() -> bool {
    CONTEXT.with(|context| {
        let Some((node, n)) = context.to_count_out.get() else { return false };
        context.count_out(node, n);
        true
    })
}

/// A body that is being polled on this thread. Two words, for it is put by and got back with every poll.
#[derive(Clone, Copy)]
pub(crate) struct Body {
    pub(super) node: NodeRef,
    /// In units of [`SPAWNED`], the children that it has spawned in this poll and that are still to be counted in; and [`ASKED`].
    tally: u64,
}

/// The body has asked a scope below, in this poll, to wake its task when that ends.
const ASKED: u64 = 1;
const SPAWNED: u64 = 1 << 1;

impl Body {
    fn spawned(self) -> u64 {
        self.tally / SPAWNED
    }
}

/// The body of `node` begins to be polled on this thread. Gives what to pass to [`leave_body`].
#[inline]
pub(crate) fn enter_body(node: NodeRef) -> Option<Body> {
    CONTEXT.with(|context| context.body.replace(Some(Body { node, tally: 0 })))
}

/// The poll is over: counts in the children that it spawned. Whether it has asked a scope below ([`note_asked`]).
#[inline]
pub(crate) fn leave_body(before: Option<Body>) -> bool {
    CONTEXT.with(|context| match context.body.replace(before) {
        Some(body) => {
            if body.spawned() > 0 {
                body.node.children_added(body.spawned());
            }
            body.tally & ASKED != 0
        }
        None => false,
    })
}

/// A scope below `node` has been asked to wake `node`'s task when it ends. If it is `node`'s body that is being polled here, that is noted.
#[inline]
pub(crate) fn note_asked(node: NodeRef) {
    CONTEXT.with(|context| {
        if let Some(body) = context.body_of(&node) {
            context.body.set(Some(Body { tally: body.tally | ASKED, ..body }));
        }
    });
}

/// Whether the body of `node` is being polled on this thread.
#[inline]
pub(crate) fn is_body_of(node: &Node) -> bool {
    CONTEXT.with(|context| context.body_of(node).is_some())
}

/// Puts off counting in a child that the body being polled has spawned, to [`leave_body`]. Returns `true`.
#[inline]
pub(crate) fn put_off_child_added(node: &Node) -> bool {
    CONTEXT.with(|context| match context.body.get() {
        Some(body) => {
            debug_assert!(std::ptr::eq(&*body.node, node));
            context.body.set(Some(Body { tally: body.tally + SPAWNED, ..body }));
            true
        }
        None => false,
    })
}

/// Counts in what the body of `node`, being polled on this thread, has put off so far.
pub(crate) fn count_in(node: &Node) {
    CONTEXT.with(|context| {
        if let Some(body) = context.body_of(node) {
            context.body.set(Some(Body { tally: body.tally & ASKED, ..body }));
            node.children_added(body.spawned());
        }
    });
}

/// The children of `node` that this thread has still to count in, less those that it has still to count out.
pub(crate) fn put_off_of(node: &Node) -> i64 {
    CONTEXT.with(|context| {
        let to_count_in = context.body_of(node).map_or(0, Body::spawned);
        let to_count_out = match context.to_count_out.get() {
            Some((other, n)) if std::ptr::eq(&*other, node) => n,
            _ => 0,
        };
        to_count_in as i64 - to_count_out as i64
    })
}
