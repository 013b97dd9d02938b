//! A node's state word: how many children live, whether the node waits for them, and how far it is cancelled.
//!
//! # Actors
//!
//! - the **node's task** (for the root: the blocked thread). Only it waits, and only it frees the node.
//! - **children's threads**. Each takes the count down once, after the child's future and untaken output are
//!   gone, or leaves its count to a sibling that is spawned on the same thread (`context::take_over_count`). Whoever takes it
//!   to zero while the node waits is the **last child** of that wait.
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
//! The node may end only when it sees `count == 0` **and** no `WAITING` ([`NodeState::seen`]; if there is no mark either,
//! [`NodeState::is_blank`]). The last
//! child thus owns the node for as long as it needs to take the waker out: it lowers the count to zero with
//! `WAITING` still set, takes the waker, then clears `WAITING`, which is its last touch of the node; then it
//! wakes. A spurious poll in between sees zero, but also `WAITING`, and leaves the node alone.
//!
//! Rejected: a compare-and-swap loop that takes the waker before the last decrement (all children pay for
//! what one of them needs), and a reference-counted waiter cell (an allocation per scope).

use crate::sync::atomic::{AtomicU64, Ordering};

/// The node waits for its count to reach zero; the waiter slot belongs to the last child.
const WAITING: u64 = 1;
/// A cancel has been requested; children may see it and wind up.
const REQUESTED: u64 = 1 << 1;
/// The node's body and children are to be dropped at their next await.
const ABORTED: u64 = 1 << 2;
/// The node's children, but not its body, are to be dropped at their next await.
const CHILDREN_ABORTED: u64 = 1 << 3;
/// Something lies behind the node's lock that its end must look at: a failure, a value, a deferred future.
const HOLDS: u64 = 1 << 4;
/// The node's own task has an instant to keep: a deadline, or the end of a grace period.
const TIMED: u64 = 1 << 5;
/// The node takes no more children.
const CLOSED: u64 = 1 << 6;
/// One live child. 56 bits of count: a child takes more than one byte, so memory ends before the count does.
const CHILD: u64 = 1 << 8;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct NodeState(AtomicU64);

/// A mark that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A cancel has been requested.
    Requested,
    /// Body and children are dropped at their next await.
    Aborted,
    /// Children, but not the body, are dropped at their next await.
    ChildrenAborted,
    /// No more children are taken.
    Closed,
}

impl Mark {
    const fn bits(self) -> u64 {
        match self {
            Self::Requested => REQUESTED,
            // To be aborted is to be asked first, if only for an instant: who looks for the request sees it.
            Self::Aborted => REQUESTED | ABORTED,
            Self::ChildrenAborted => CHILDREN_ABORTED,
            Self::Closed => CLOSED,
        }
    }
}

/// What a node asks of its children.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orders {
    GoOn,
    /// A cancel has been requested: those who look may end by themselves.
    WindUp,
    /// Drop your future at the next await.
    Abort,
}

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
    /// the node does not wait while its body is polled, but in a drain, and then it is closed: its body spawns no more.
    #[inline]
    pub(crate) fn children_added(&self, n: u64) {
        // Relaxed: whoever spawns is itself waited for, and what it waits with (its own `children_ended`, or the
        // body's program order) orders this addition before any check for zero.
        self.0.fetch_add(n * CHILD, Ordering::Relaxed);
    }

    /// Counts a child in, if the node still takes any, and says whether it does.
    ///
    /// Rejected: to add first and to take it back if the node is closed. Whoever is refused need not be a child (the body
    /// may wait for a foreign thread), and a body's drain may have begun to wait: two threads could then each take the
    /// count to zero, and both would be the last child.
    #[inline]
    pub(crate) fn child_added_if_open(&self) -> bool {
        // Relaxed: as in `children_added`. Being one step with the addition, the look at the mark cannot miss a
        // `close` that came before it.
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now & CLOSED == 0).then(|| now.wrapping_add(CHILD))
            })
            .is_ok()
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
        // Relaxed: read by `holds` after the node has seen the count at zero, or by `is_blank` with the count: the child that sets it
        // is counted out later.
        self.0.fetch_or(HOLDS, Ordering::Relaxed);
    }

    /// Notes that the node's own task has an instant to keep.
    pub(crate) fn set_timed(&self) {
        // Relaxed: the instant lies behind the node's lock, and whoever sets this wakes the task afterwards, or is the task,
        // which looks before it parks.
        self.0.fetch_or(TIMED, Ordering::Relaxed);
    }

    /// Whether the node's own task may have an instant to keep.
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        // Relaxed: see `set_timed`.
        self.0.load(Ordering::Relaxed) & TIMED != 0
    }

    /// Whether the node bears no mark that its own task has to act upon, and has no instant to keep.
    #[inline]
    pub(crate) fn is_undisturbed(&self) -> bool {
        // Relaxed: whoever finds something looks again, with `is` and `orders`. A mark that its setter has woken the task for
        // is not missed, for the wake comes before the poll that looks; nor is one that the task's own poll has set.
        self.0.load(Ordering::Relaxed) & (REQUESTED | ABORTED | CHILDREN_ABORTED | TIMED) == 0
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

    /// Whether no child lives, and nothing ever came up: no mark, nothing behind the lock, no instant to keep. Asked by the node's
    /// own task when its body is gone.
    #[inline]
    pub(crate) fn is_blank(&self) -> bool {
        // Acquire: pairs with Release in `children_ended` and `waiter_taken`, as in `seen`.
        self.0.load(Ordering::Acquire) == 0
    }

    /// Marks the node; `true` if it was not marked so before.
    pub(crate) fn mark(&self, mark: Mark) -> bool {
        // Release: pairs with Acquire in `is` and `orders`: whoever sees the mark sees its cause, which was recorded
        // before. Whoever comes second does nothing more, so it need not see anything.
        self.0.fetch_or(mark.bits(), Ordering::Release) & mark.bits() != mark.bits()
    }

    /// Whether the node bears the mark.
    #[inline]
    pub(crate) fn is(&self, mark: Mark) -> bool {
        // Acquire: pairs with Release in `mark`.
        self.0.load(Ordering::Acquire) & mark.bits() == mark.bits()
    }

    /// What the marks ask of the node's children.
    #[inline]
    pub(crate) fn orders(&self) -> Orders {
        // Acquire: pairs with Release in `mark`.
        let now = self.0.load(Ordering::Acquire);
        if now & (ABORTED | CHILDREN_ABORTED) != 0 {
            Orders::Abort
        } else if now & REQUESTED != 0 {
            Orders::WindUp
        } else {
            Orders::GoOn
        }
    }

    /// How many children live, as of some moment during the call.
    /// `put_off`: what the calling thread has still to count in, less what it has still to count out.
    pub(crate) fn live_children(&self, put_off: i64) -> u64 {
        // Relaxed: a figure for people; nothing is decided by it.
        let signed = self.0.load(Ordering::Relaxed) as i64 >> CHILD.trailing_zeros();
        u64::try_from(signed + put_off).unwrap_or(0)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
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
        assert_eq!(state.live_children(0), 0);
        state.children_added(5);
        assert_eq!(state.live_children(0), 2);
        assert!(state.orders() == Orders::GoOn && !state.holds(), "the flags are untouched");
        assert_eq!(state.start_wait(), Wait::Pending);
        assert!(state.waits_only_for(2));
        assert_eq!(state.children_ended(2), AfterEnd::WakeWaiter);
    }

    #[test]
    fn a_refused_child_is_not_mistaken_for_the_last_one() {
        let state = NodeState::new();
        state.children_added(1);
        assert!(state.mark(Mark::Closed));
        assert_eq!(state.start_wait(), Wait::Pending);
        assert_eq!(state.children_ended(1), AfterEnd::WakeWaiter);
        // The last child has the waiter slot until it says so, whoever else comes.
        assert!(!state.child_added_if_open());
        assert_eq!(state.live_children(0), 0);
        assert_eq!(state.seen(), Seen::Waiting);
        state.waiter_taken();
        assert_eq!(state.seen(), Seen::Drained);
    }

    #[test]
    fn a_wait_with_no_children_is_over_at_once() {
        let state = NodeState::new();
        assert_eq!(state.start_wait(), Wait::Drained);
        assert_eq!(state.seen(), Seen::Drained);
    }

    #[test]
    fn marks_are_set_once_and_leave_the_count_alone() {
        let state = NodeState::new();
        state.children_added(1);
        assert_eq!(state.orders(), Orders::GoOn);
        assert!(state.mark(Mark::Requested));
        assert!(!state.mark(Mark::Requested));
        assert_eq!(state.orders(), Orders::WindUp);
        assert!(state.mark(Mark::Aborted), "a request is not yet an abort");
        assert!(!state.mark(Mark::Aborted));
        assert_eq!(state.orders(), Orders::Abort);
        assert_eq!(state.live_children(0), 1);
    }

    #[test]
    fn an_abort_of_the_children_spares_the_node() {
        let state = NodeState::new();
        assert!(state.mark(Mark::ChildrenAborted));
        assert_eq!(state.orders(), Orders::Abort);
        assert!(!state.is(Mark::Aborted) && !state.is(Mark::Requested));
    }
}
