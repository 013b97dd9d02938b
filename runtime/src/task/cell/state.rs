//! The words of a task's cell.
//!
//! [`WakeState`]: whether the task has to be queued when it is woken. [`Holders`]: how many keep its memory. [`JoinState`]: who
//! takes the output, and whether somebody waits for it. Words of their own, so that a task that ends in its first poll, as most
//! do, changes one of them alone: its handle, which another thread may be polling meanwhile, is told by the third.
//!
//! ```text
//!   WakeState                                         JoinState
//!
//!   new ─▶ 1 ◀──wake── 0 (parked)                     new ─▶ Live ◀──take_waker_back── Awaited
//!         ▲ │ └─pause─▶                                       │  └────leave_waker──────▶  │
//!  pause, │ │ wake                                        end │                           │ end
//!   begin │ ▼                                                 ▼           told            ▼
//!        2, 3, …                                            Ended ◀──────────────────── telling
//!
//!   JoinState, from any of these: let_go, taken. After Ended all is the handle's; before, all is the task's.
//!   leave_to_above, from Live: the end, whichever way it comes to that, wakes the scope above.
//! ```
//!
//! Whoever wakes a parked task makes the count one and queues it, so that its next poll begins with a look and changes nothing. The
//! count of a task that has ended never falls again: whoever wakes it then finds nothing to do.

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Who runs a task next: how often it has been woken and not begun for, one at a time. Zero: parked. One: queued, running, or
/// ended. More: woken since, be it before it began or while it runs.
///
/// A count and not a flag, because a wake and a pause are then one addition each. At one a nanosecond it overflows in 500 years.
#[derive(Debug)]
pub(super) struct WakeState(AtomicU64);

/// What [`WakeState::wake`] leaves to do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AfterWake {
    /// Somebody else has the task.
    Leave,
    /// The task was parked: the caller has it now, and queues it.
    Queue,
}

/// What [`WakeState::pause`] leaves to do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AfterPause {
    /// Whoever wakes the task has it; it may be gone already.
    Leave,
    /// It was woken while it ran: the caller still has it, and queues it.
    Queue,
}

impl WakeState {
    /// Of a task that its maker queues.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(1))
    }

    /// The task is about to be polled.
    #[inline]
    pub(super) fn begin(&self) {
        // Acquire: pairs with Release in `wake`, for what the waker knows; and with Release in `pause`, for what the last poll did. (A wake
        // that this load misses is still counted when the poll is over.)
        let now = self.0.load(Ordering::Acquire);
        if now > 1 {
            // Woken more than once before its turn, which comes now. Relaxed: the load has seen the wakes that are taken off here;
            // one that has come since stays.
            self.0.fetch_sub(now - 1, Ordering::Relaxed);
        }
    }

    /// The task has been polled and is not ready.
    #[inline]
    pub(super) fn pause(&self) -> AfterPause {
        // Release: pairs with Acquire in `begin`: the next poll, on whatever thread, goes on from this one. Not Acquire: what it was
        // woken for meanwhile, `begin` reads, to whom this passes it on.
        if self.0.fetch_sub(1, Ordering::Release) == 1 { AfterPause::Leave } else { AfterPause::Queue }
    }

    /// Somebody wakes the task.
    #[inline]
    pub(super) fn wake(&self) -> AfterWake {
        // Release: pairs with Acquire in `begin`: what the task is woken for. Not Acquire: what the caller reads with `Queue` was
        // written before there was a waker.
        if self.0.fetch_add(1, Ordering::Release) == 0 { AfterWake::Queue } else { AfterWake::Leave }
    }
}

/// How many keep the memory: each waker, and the task and its handle, together.
#[derive(Debug)]
pub(super) struct Holders(AtomicU32);

impl Holders {
    /// Task and handle.
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(1))
    }

    /// One more keeps the memory.
    #[inline]
    pub(super) fn hold(&self) {
        // Relaxed: the caller holds it, or is lent a waker by one who does.
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        if before > i32::MAX as u32 {
            // As `Arc` does: so many can only have been leaked, and more may wrap.
            crate::sync::internal_error("too many wakers of one task");
        }
    }

    /// One less keeps the memory; `true` for the last, who frees it.
    #[inline]
    #[must_use]
    pub(super) fn let_go(&self) -> bool {
        // Acquire: pairs with Release below: all that the others did comes before the memory is freed. A holder that is alone
        // stays so, for only holders make others.
        if self.0.load(Ordering::Acquire) == 1 {
            return true;
        }
        // Release: pairs with Acquire here and above, of the last.
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// The handle has left a waker: the task has the waker's place. With [`ENDED`]: it is taking the waker out.
const AWAITED: u32 = 1;
/// The scope above has awaited the handle, by its own task's waker, of which no copy is needed: it outlives the task.
const ABOVE: u32 = 1 << 1;
/// The output is there.
const ENDED: u32 = 1 << 2;
/// The handle has gone. Set before [`ENDED`]: all is the task's.
const UNWANTED: u32 = 1 << 3;
/// The handle has taken the output while the task was taking the waker out: the memory is the task's.
const TAKEN: u32 = 1 << 4;

/// What a task and its handle tell each other. Of the two that hold the memory together, whoever comes second lets it go.
///
/// A flag is set once, but for `AWAITED`, and by one side alone: a change is an addition, one instruction where a return value that
/// is looked at makes a loop of an `or`.
#[derive(Debug)]
pub(super) struct JoinState(AtomicU32);

/// What the handle finds.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The task has not ended. The waker's place is the caller's.
    Live,
    /// The same, and the scope above is woken when it ends.
    Above,
    /// A waker is there. The task takes it when it ends.
    Awaited,
    /// The output is there.
    Ended,
}

/// What the end of the task leaves to do.
#[must_use]
#[derive(Debug)]
pub(super) struct End {
    /// Wake the task of the scope above.
    pub(super) wakes_above: bool,
    pub(super) after: AfterEnd,
}

/// What the task finds when it has ended.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AfterEnd {
    /// Output and memory are the handle's now.
    Leave,
    /// A waker is there: take it, and say so ([`JoinState::told`]).
    TakeWaker,
    /// Nobody wants the output. It is the caller's, and the memory too.
    Unwanted,
    /// The output has been taken. The memory is the caller's.
    Taken,
}

impl JoinState {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    // ---- the handle ----------------------------------------------------------------------------------------

    #[inline]
    pub(super) fn seen(&self) -> Seen {
        // Acquire: pairs with Release in `end` and `told`: the output is there.
        let now = self.0.load(Ordering::Acquire);
        if now & ENDED != 0 {
            Seen::Ended
        } else if now & AWAITED != 0 {
            Seen::Awaited
        } else if now & ABOVE != 0 {
            Seen::Above
        } else {
            Seen::Live
        }
    }

    /// A waker lies in its place; `false` if the task has ended instead, and the place is the caller's as it was.
    #[inline]
    #[must_use]
    pub(super) fn leave_waker(&self) -> bool {
        // Release: pairs with Acquire in `end`: the waker is written. Acquire: as in `seen`.
        self.0
            .fetch_update(Ordering::Release, Ordering::Acquire, |now| {
                (now & ENDED == 0).then_some(now | AWAITED)
            })
            .is_ok()
    }

    /// The scope above is to be woken, whatever becomes of the handle; `false` if the task has ended instead. Called by the handle that
    /// has seen [`Seen::Live`].
    ///
    /// For good, because a scope that waits for a scope below relies on being woken (`tree/listing.rs`), and the handle may be
    /// given away or dropped in the same poll. Rejected: to take it back then, for a wake that is seldom too many.
    #[inline]
    #[must_use]
    pub(super) fn leave_to_above(&self) -> bool {
        // Acquire: as in `seen`. Not Release: nothing is handed over. (A sibling may poll with the scope's waker. What it did before,
        // the scope does not learn by being woken for the end of another.)
        self.0.fetch_add(ABOVE, Ordering::Acquire) & ENDED == 0
    }

    /// The handle wants the waker's place again; `false` if the task has ended, and has the place.
    #[must_use]
    pub(super) fn take_waker_back(&self) -> bool {
        // Relaxed: what lies there the handle has put there. Acquire: as in `seen`.
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Acquire, |now| {
                (now & ENDED == 0).then_some(now & !AWAITED)
            })
            .is_ok()
    }

    /// The handle has taken the output of a task that has ended; `true` if the memory is the caller's, `false` if the task has yet to
    /// be done with it.
    #[inline]
    #[must_use]
    pub(super) fn taken(&self) -> bool {
        // Acquire: pairs with Release in `told`, for the task's last touch of the waker's place.
        if self.0.load(Ordering::Acquire) & AWAITED == 0 {
            return true;
        }
        // Acquire: as above. Release: pairs with Acquire in `told`: the handle's touches come before the task lets the memory go.
        self.0.fetch_add(TAKEN, Ordering::AcqRel) & AWAITED == 0
    }

    /// The handle is being let go; `true` if the task has ended, and done with the memory: that and the output are the caller's.
    #[must_use]
    pub(super) fn let_go(&self) -> bool {
        // Acquire: as in `taken`. Release: pairs with Acquire in `end` and `told`: the handle's touches come before the task lets the
        // memory go.
        self.0.fetch_add(UNWANTED, Ordering::AcqRel) & (ENDED | AWAITED) == ENDED
    }

    // ---- the task ------------------------------------------------------------------------------------------

    /// The task has ended and its output is written.
    #[inline]
    pub(super) fn end(&self) -> End {
        // Release: pairs with Acquire in `seen` and the like: output, and all that the task did. Acquire: pairs with Release in
        // `leave_waker`, for the waker, and with Release in `let_go`.
        let before = self.0.fetch_add(ENDED, Ordering::AcqRel);
        let after = if before & UNWANTED != 0 {
            AfterEnd::Unwanted
        } else if before & AWAITED != 0 {
            AfterEnd::TakeWaker
        } else {
            AfterEnd::Leave
        };
        End { wakes_above: before & ABOVE != 0, after }
    }

    /// The waker has been taken out.
    pub(super) fn told(&self) -> AfterEnd {
        // Release: pairs with Acquire in `taken` and `let_go`: the place is empty. Acquire: pairs with Release there.
        let before = self.0.fetch_sub(AWAITED, Ordering::AcqRel);
        if before & TAKEN != 0 {
            AfterEnd::Taken
        } else if before & UNWANTED != 0 {
            AfterEnd::Unwanted
        } else {
            AfterEnd::Leave
        }
    }
}
