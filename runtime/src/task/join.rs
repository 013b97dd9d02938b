//! The handle of a child.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::cell::Slot;
use super::outcome::Outcome;
use crate::context;
use crate::sched::budget;
use crate::tree::failure;

/// Awaits a child's value. Lives no longer than the scope the child was spawned in.
///
/// Dropping or forgetting a handle neither cancels nor detaches the child: its scope waits for it all the same, and
/// drops the value. A value that is ready is dropped with its handle, and leaked with a leaked one.
///
/// # Panics
/// If the child ended without a value, because it panicked or its scope was aborted, a poll unwinds without a
/// message of its own. In ordinary code nobody sees that: the scope is being cancelled, and so is whoever awaits
/// here; the panic that counts is resumed by the scope's owner. It is seen by code that polls a handle
/// synchronously, which must not be left waiting. Polling again after the value was taken panics.
pub struct JoinHandle<'scope, T> {
    /// `None` once the value was taken.
    slot: Option<Slot<Outcome<T>>>,
    /// Invariant, as in `Scope`.
    _scope: PhantomData<&'scope mut &'scope ()>,
}

impl<T> JoinHandle<'_, T> {
    #[inline]
    pub(crate) fn new(slot: Slot<Outcome<T>>) -> Self {
        Self { slot: Some(slot), _scope: PhantomData }
    }

    /// Whether the child has ended, with a value or without.
    pub fn is_finished(&self) -> bool {
        self.slot.as_ref().is_none_or(Slot::is_finished)
    }

    /// Gives the handle's part of the task up.
    #[inline]
    fn let_go(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        if std::mem::needs_drop::<T>() {
            // It outlives every use of its handles.
            context::charge(slot.parent(), || slot.let_go());
        } else {
            slot.let_go();
        }
    }

    #[cold]
    fn let_go_unawaited(&mut self) {
        self.let_go();
    }

    /// Polls for the child's end: its value, or `None` if it ended without one.
    #[inline]
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let outcome = ready!(budget::poll_spending(cx, |cx| Slot::poll(&mut self.slot, cx)));
        Poll::Ready(outcome.take())
    }
}

// The value is not pinned here; it lies in the task.
impl<T> Unpin for JoinHandle<'_, T> {}

impl<T> Future for JoinHandle<'_, T> {
    type Output = T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(self.poll_end(cx)) {
            Some(value) => Poll::Ready(value),
            None => failure::unwind_cancelled(),
        }
    }
}

impl<T> Drop for JoinHandle<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Most have been awaited: their drop should cost no more than this look.
        if self.slot.is_some() {
            self.let_go_unawaited();
        }
    }
}

impl<T> std::fmt::Debug for JoinHandle<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish()
    }
}
