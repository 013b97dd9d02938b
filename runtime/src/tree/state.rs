//! A node's state word: how many children live, whether the node waits for them, whether it is cancelled.
//!
//! # Actors
//!
//! - the **node's task** (for the root: the blocked thread). Only it waits, and only it frees the node.
//! - **children's threads**. Each takes the count down once, after the child's future and untaken output are
//!   gone. Whoever takes it to zero while the node waits is the **last child** of that wait.
//! - **spawners**: the node's body, a child, a value's destructor, or a foreign thread that the body waits for.
//!   Each holds something the node's end waits for, so the count never rises from a zero that was acted on.
//! - **cancellers**: any of the above.
//!
//! # The wait
//!
//! ```text
//!   counting ──start_wait──▶ waiting ──children_ended (last)──▶ waking ──waiter_taken──▶ counting, at zero
//!      ▲                        │
//!      └──start_wait finds zero─┘
//! ```
//!
//! The node may end only when it sees `count == 0` **and** no `WAITING` ([`NodeState::seen`]). The last
//! child thus owns the node for as long as it needs to take the waker out: it lowers the count to zero with
//! `WAITING` still set, takes the waker, then clears `WAITING`, which is its last touch of the node; then it
//! wakes. A spurious poll in between sees zero, but also `WAITING`, and leaves the node alone.
//!
//! Rejected: a compare-and-swap loop that takes the waker before the last decrement (all children pay for
//! what one of them needs), and a reference-counted waiter cell (an allocation per scope).

use crate::sync::atomic::{AtomicU64, Ordering};

/// The node waits for its count to reach zero; the waiter slot belongs to the last child.
const WAITING: u64 = 1;
/// The node's children, and its body, are to be dropped at their next await.
const CANCELLED: u64 = 1 << 1;
/// Something lies behind the node's lock that its end must look at: a failure or a value.
const HOLDS: u64 = 1 << 2;
/// One live child. 56 bits of count: a child takes more than one byte, so memory ends before the count does.
const CHILD: u64 = 1 << 8;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct NodeState(AtomicU64);

/// What [`NodeState::children_ended`] leaves to do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AfterEnd {
    /// Nothing; the node may be gone already.
    Leave,
    /// This was the last child of a wait: take the waker, call [`NodeState::waiter_taken`], wake.
    WakeWaiter,
}

/// What [`NodeState::start_wait`] leaves to do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// No child lives. The waiter slot still belongs to the caller.
    Drained,
    /// The last child will wake the waiter. The slot belongs to it now.
    Pending,
}

/// What [`NodeState::seen`] found.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No child lives and none is busy with the waiter: the node may end.
    Drained,
    /// A wait is under way; its wake is still to come, even if the count is zero.
    Waiting,
    /// Children live and nobody waits. The waiter slot belongs to the caller.
    Counting,
}

impl NodeState {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts `n` children in.
    ///
    /// Children that a node's own body spawns during one poll are counted in together when the poll is over, so a
    /// child may be counted out first: the count is then below zero for a while. Nobody acts on it meanwhile, for
    /// the node does not wait while its body is polled.
    #[inline]
    pub(crate) fn children_added(&self, n: u64) {
        // Relaxed: whoever spawns is itself waited for, and what it waits with (its own `children_ended`, or the
        // body's program order) orders this addition before any check for zero.
        self.0.fetch_add(n * CHILD, Ordering::Relaxed);
    }

    /// Counts `n` children out. With [`AfterEnd::Leave`] this was the caller's last touch of the node.
    #[inline]
    pub(crate) fn children_ended(&self, n: u64) -> AfterEnd {
        // Release: pairs with Acquire in `seen` and `start_wait`: what the children did to borrowed memory
        // happens before the node frees it. Acquire: pairs with Release in `start_wait`: the last child reads
        // the waker that the node left. Non-last decrements continue the release sequence, being RMWs.
        let before = self.0.fetch_sub(n * CHILD, Ordering::AcqRel);
        if before / CHILD == n && before & WAITING != 0 { AfterEnd::WakeWaiter } else { AfterEnd::Leave }
    }

    /// Whether the node waits for `n` children and no more: the caller, who has them to count out, should not put
    /// that off. Only called while the caller's children keep the node alive.
    #[inline]
    pub(crate) fn waits_only_for(&self, n: u64) -> bool {
        // Relaxed: a hint; the decision is `children_ended`'s.
        let now = self.0.load(Ordering::Relaxed);
        now / CHILD == n && now & WAITING != 0
    }

    /// Notes that something lies behind the node's lock.
    #[inline]
    pub(crate) fn set_holds(&self) {
        // Relaxed: read by `holds` after the node has seen the count at zero, which orders it.
        self.0.fetch_or(HOLDS, Ordering::Relaxed);
    }

    /// Whether anything was ever put behind the node's lock. Asked once the node is drained.
    #[inline]
    pub(crate) fn holds(&self) -> bool {
        // Relaxed: see `set_holds`.
        self.0.load(Ordering::Relaxed) & HOLDS != 0
    }

    /// The last child's last touch: the node may end from here on.
    #[inline]
    pub(crate) fn waiter_taken(&self) {
        // Release: pairs with Acquire in `seen`: the slot was emptied before the node frees it.
        self.0.fetch_and(!WAITING, Ordering::Release);
    }

    /// Begins to wait, after the waker has been put into the waiter slot.
    #[inline]
    pub(crate) fn start_wait(&self) -> Wait {
        // Release: pairs with Acquire in `children_ended`: hands the slot to the last child. Acquire: pairs with
        // Release in `children_ended`, for the case that all are gone.
        let before = self.0.fetch_or(WAITING, Ordering::AcqRel);
        debug_assert!(before & WAITING == 0, "a node waits once at a time");
        if before / CHILD != 0 {
            return Wait::Pending;
        }
        // Relaxed: with no child left nobody else reads the bit.
        self.0.fetch_and(!WAITING, Ordering::Relaxed);
        Wait::Drained
    }

    /// What the node's own task may do now.
    #[inline]
    pub(crate) fn seen(&self) -> Seen {
        // Acquire: pairs with Release in `children_ended` and `waiter_taken`.
        let now = self.0.load(Ordering::Acquire);
        if now & WAITING != 0 {
            Seen::Waiting
        } else if now / CHILD != 0 {
            Seen::Counting
        } else {
            Seen::Drained
        }
    }

    /// Marks the node cancelled; `true` for the first to do so.
    pub(crate) fn cancel(&self) -> bool {
        // Release: pairs with Acquire in `is_cancelled`: whoever sees the mark sees the failure that caused
        // it. Acquire: a second canceller sees the first one's writes.
        self.0.fetch_or(CANCELLED, Ordering::AcqRel) & CANCELLED == 0
    }

    /// Whether the node is cancelled.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        // Acquire: pairs with Release in `cancel`.
        self.0.load(Ordering::Acquire) & CANCELLED != 0
    }

    /// How many children live, as of some moment during the call.
    pub(crate) fn live_children(&self) -> u64 {
        // Relaxed: a figure for people; nothing is decided by it.
        let signed = self.0.load(Ordering::Relaxed) as i64 >> CHILD.trailing_zeros();
        u64::try_from(signed).unwrap_or(0)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn last_child_of_a_wait_is_told_to_wake_and_no_other() {
        let state = NodeState::new();
        state.children_added(2);
        assert_eq!(state.start_wait(), Wait::Pending);
        assert_eq!(state.children_ended(1), AfterEnd::Leave);
        assert_eq!(state.children_ended(1), AfterEnd::WakeWaiter);
        assert_eq!(state.seen(), Seen::Waiting, "the last child still owns the slot");
        state.waiter_taken();
        assert_eq!(state.seen(), Seen::Drained);
    }

    #[test]
    fn children_may_be_counted_out_before_they_are_counted_in() {
        let state = NodeState::new();
        assert_eq!(state.children_ended(3), AfterEnd::Leave);
        assert_eq!(state.live_children(), 0);
        state.children_added(5);
        assert_eq!(state.live_children(), 2);
        assert!(!state.is_cancelled() && !state.holds(), "the flags are untouched");
        assert_eq!(state.start_wait(), Wait::Pending);
        assert!(state.waits_only_for(2));
        assert_eq!(state.children_ended(2), AfterEnd::WakeWaiter);
    }

    #[test]
    fn a_wait_with_no_children_is_over_at_once() {
        let state = NodeState::new();
        assert_eq!(state.start_wait(), Wait::Drained);
        assert_eq!(state.seen(), Seen::Drained);
    }

    #[test]
    fn only_the_first_cancel_says_so_and_counts_are_untouched() {
        let state = NodeState::new();
        state.children_added(1);
        assert!(state.cancel());
        assert!(!state.cancel());
        assert!(state.is_cancelled());
        assert_eq!(state.live_children(), 1);
    }
}
