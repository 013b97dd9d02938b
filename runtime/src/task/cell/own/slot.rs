//! What a handle has of a task: the output, or the place for it, and a place for a waker until then.

use std::ptr::NonNull;
use std::task::{Poll, Waker};

use super::super::state::Seen;
use super::{Ended, Header};
use crate::context;
use crate::tree::node::NodeRef;

/// A task's output, or the place for it. Ends in [`take`](Self::take) or in
/// [`let_go`](Self::let_go); what is merely dropped is leaked.
#[derive(Debug)]
pub(crate) struct Slot<T>(NonNull<Ended<T>>);

// SAFETY: what it gives away is the output.
unsafe impl<T: Send> Send for Slot<T> {}
// SAFETY: a shared reference gives away whether there is an output, and nothing of it.
unsafe impl<T> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// The handle's side of a cell, of which there is one.
    pub(super) fn new(at: NonNull<Ended<T>>) -> Self {
        Self(at)
    }

    fn header(&self) -> &Header {
        // SAFETY: held by task and handle together, of which this is the second.
        unsafe { self.0.cast().as_ref() }
    }

    pub(in crate::task::cell) fn parent(&self) -> NodeRef {
        self.header().parent
    }

    pub(in crate::task::cell) fn is_finished(&self) -> bool {
        self.header().join.seen() == Seen::Ended
    }

    /// Waits for the task's end; when it is ready, the output is there to be [taken](Self::take).
    #[inline]
    pub(in crate::task::cell) fn poll_ended(&self, waker: &Waker) -> Poll<()> {
        match self.header().join.seen() {
            Seen::Ended => Poll::Ready(()),
            Seen::Live if self.is_parents(waker) => {
                if self.header().join.leave_to_above() {
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

    /// The end wakes the scope above. If it is a scope's end, and the body of the one above that polls, the one above need not be on a
    /// list meanwhile; so it is told.
    #[inline]
    fn asked(&self) -> Poll<()> {
        let header = self.header();
        if header.vtable.is_scopes {
            context::note_asked(header.parent);
        }
        Poll::Pending
    }

    /// Whether it is the waker of the scope above's own task.
    #[inline]
    fn is_parents(&self, waker: &Waker) -> bool {
        self.header().parent.task().is_some_and(|task| task.is_woken_by(waker))
    }

    /// Leaves the waker in its place, which is the handle's.
    #[inline]
    fn leave(&self, waker: &Waker) -> Poll<()> {
        let header = &self.header();
        let is_there = header.waker.with_mut(|place| {
            // SAFETY: the handle's: it has seen `Live` or `Above`, or has taken the waker back.
            unsafe { &*place }.as_ref().is_some_and(|left| left.will_wake(waker))
        });
        let mut old = None;
        if !is_there {
            // Out of the place before user code runs: should the clone panic, none is left there.
            old = self.take_waker();
            let new = Some(Box::new(waker.clone()));
            header.waker.with_mut(|place| {
                // SAFETY: as above.
                unsafe { *place = new };
            });
        }
        let left = header.join.leave_waker();
        // Out of the place before user code runs, here too: what is left there goes with the cell, at whoever's hands.
        let refused = if left { None } else { self.take_waker() };
        drop((old, refused));
        if left { Poll::Pending } else { Poll::Ready(()) }
    }

    /// A waker has been left before.
    #[cold]
    fn poll_again(&self, waker: &Waker) -> Poll<()> {
        if self.header().join.take_waker_back() { self.leave(waker) } else { Poll::Ready(()) }
    }

    /// Takes out what waker there is. The caller has the place: it has seen `Live` or `Above`, or has taken the waker back, or was refused when it
    /// left one.
    fn take_waker(&self) -> Option<Box<Waker>> {
        self.header().waker.with_mut(|place| {
            // SAFETY: the caller's, as it says above.
            unsafe { &mut *place }.take()
        })
    }

    /// Takes the output and lets the memory go.
    ///
    /// # Safety
    /// The task has ended.
    #[inline]
    pub(in crate::task::cell) unsafe fn take(self) -> T {
        // SAFETY: inside the allocation, which task and handle hold.
        let output = unsafe { &raw const (*self.0.as_ptr()).output };
        // SAFETY: the handle's, as the task has ended; written by then, and read once.
        let output = self.header().content.with(|_| unsafe { output.read() });
        if self.header().join.taken() {
            // SAFETY: task and handle are one holder, and both have done with it; the output has been taken.
            unsafe { Header::let_go(self.0.cast()) };
        }
        output
    }

    /// Leaves the output to be dropped, or drops it if it is there. That does not unwind, but the drop of a user's waker may, which
    /// comes last.
    pub(in crate::task::cell) fn let_go(self) {
        let join = &self.header().join;
        let mut waker = None;
        if join.seen() == Seen::Awaited && join.take_waker_back() {
            waker = self.take_waker();
        }
        if join.let_go() {
            // SAFETY: written, as the task has ended, and the handle's.
            unsafe { Ended::drop_output(self.0) };
            // SAFETY: as in `take`.
            unsafe { Header::let_go(self.0.cast()) };
        }
        drop(waker);
    }
}
