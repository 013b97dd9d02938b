//! What a handle has of a scope's task: the output, or the place for it, and a place for a waker until then.

use std::ptr::NonNull;
use std::task::{Context, Poll, Waker, ready};

use super::super::state::Seen;
use super::{Front, Header};
use crate::context;
use crate::tree::kept_waker::KeptWaker;
use crate::tree::node::NodeRef;

/// The output of a scope's task, or the place for it. Ends in a [`poll`](Self::poll) that is ready, or in
/// [`let_go`](Self::let_go); what is merely dropped is leaked.
#[derive(Debug)]
pub(crate) struct Slot<T>(NonNull<Front<T>>);

// SAFETY: what it gives away is the output.
unsafe impl<T: Send> Send for Slot<T> {}
// SAFETY: a shared reference gives away whether there is an output, and nothing of it.
unsafe impl<T> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// The handle's side of a cell, of which there is one.
    pub(super) fn new(at: NonNull<Front<T>>) -> Self {
        Self(at)
    }

    fn front(&self) -> &Front<T> {
        // SAFETY: held by task and handle together, of which this is the second.
        unsafe { self.0.as_ref() }
    }

    pub(in crate::task::cell) fn parent(&self) -> NodeRef {
        self.front().header.parent
    }

    pub(in crate::task::cell) fn is_finished(&self) -> bool {
        self.front().header.join.seen() == Seen::Ended
    }

    /// Waits for the task's end and takes the output.
    ///
    /// # Safety
    /// Once it is ready the slot is used up: nothing more is asked of it.
    #[inline]
    pub(in crate::task::cell) unsafe fn poll(&mut self, cx: &Context<'_>) -> Poll<T> {
        ready!(self.poll_ended(cx.waker()));
        // SAFETY: the task has ended, and nothing more is asked, by contract.
        Poll::Ready(unsafe { self.take() })
    }

    #[inline]
    fn poll_ended(&self, waker: &Waker) -> Poll<()> {
        match self.front().header.join.seen() {
            Seen::Ended => Poll::Ready(()),
            Seen::Live if self.is_parents(waker) => {
                if self.front().header.join.leave_to_above() {
                    self.asked()
                } else {
                    Poll::Ready(())
                }
            }
            Seen::Above if self.is_parents(waker) => self.asked(),
            Seen::Live | Seen::Above => self.leave(waker),
            Seen::Awaited => self.poll_again(waker),
        }
    }

    /// The end wakes the scope above, which learns that it need not be on a list meanwhile if it is its body that polls.
    #[inline]
    fn asked(&self) -> Poll<()> {
        context::note_asked(self.front().header.parent);
        Poll::Pending
    }

    /// Whether it is the waker of the scope above's own task.
    #[inline]
    fn is_parents(&self, waker: &Waker) -> bool {
        self.front().header.parent.task().is_some_and(|task| task.is_woken_by(waker))
    }

    /// Leaves the waker in its place, which is the handle's.
    #[inline]
    fn leave(&self, waker: &Waker) -> Poll<()> {
        let header = &self.front().header;
        let is_there = header.waker.with_mut(|place| {
            // SAFETY: the handle's: it has seen `Live` or `Above`, or has taken the waker back.
            unsafe { &*place }.will_wake(waker)
        });
        let mut old = None;
        if !is_there {
            // Out of the place before user code runs: should the clone panic, none is left there.
            old = self.take_waker();
            let new = KeptWaker::some(waker.clone());
            header.waker.with_mut(|place| {
                // SAFETY: as above.
                unsafe { *place = new };
            });
        }
        let left = header.join.leave_waker();
        drop(old);
        if left {
            return Poll::Pending;
        }
        drop(self.take_waker());
        Poll::Ready(())
    }

    /// A waker has been left before.
    #[cold]
    fn poll_again(&self, waker: &Waker) -> Poll<()> {
        if self.front().header.join.take_waker_back() { self.leave(waker) } else { Poll::Ready(()) }
    }

    /// Takes out what waker there is. The caller has the place: it has seen `Live` or `Above`, or has taken the waker back, or was refused when it
    /// left one.
    fn take_waker(&self) -> Option<Waker> {
        self.front().header.waker.with_mut(|place| {
            // SAFETY: the caller's, as it says above.
            unsafe { &mut *place }.take()
        })
    }

    /// Takes the output and lets the memory go.
    ///
    /// # Safety
    /// The task has ended, and the slot is not used again.
    #[inline]
    unsafe fn take(&mut self) -> T {
        let output = self.front().output.with(|output| {
            // SAFETY: the handle's, as the task has ended.
            let output = unsafe { &*output };
            // SAFETY: written by then, and read once.
            unsafe { output.assume_init_read() }
        });
        if self.front().header.join.taken() {
            // SAFETY: task and handle are one holder, and both have done with it; the output has been taken.
            unsafe { Header::let_go(self.0.cast()) };
        }
        output
    }

    /// Leaves the output to be dropped, or drops it if it is there. That does not unwind, but the drop of a user's waker may, which
    /// comes last.
    pub(in crate::task::cell) fn let_go(self) {
        let join = &self.front().header.join;
        let mut waker = None;
        if join.seen() == Seen::Awaited && join.take_waker_back() {
            waker = self.take_waker();
        }
        if join.let_go() {
            // SAFETY: written, as the task has ended, and the handle's.
            unsafe { Front::drop_output(self.0) };
            // SAFETY: as in `take`.
            unsafe { Header::let_go(self.0.cast()) };
        }
        drop(waker);
    }
}
