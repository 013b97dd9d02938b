//! The place of one connection at a time: its outbox behind a lock, and the futures that wait for it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::outbox::{Offer, Outbox, Wakes};
use crate::protocol::Run;

/// Aligned so that neighbours, which other workers use, do not share a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Slot {
    outbox: Mutex<Outbox>,
    /// The reader is to stop. Beside the lock, for it is looked at before every read.
    ///
    /// Relaxed: whoever sets it wakes the reader afterwards, under the lock under which the reader has
    /// left its waker. Either the waker is there, and the wake orders the store before the poll that
    /// it causes; or the reader leaves it later, and the lock orders the store before the load after.
    stop: AtomicBool,
}

impl Slot {
    /// Changes the outbox; wakers fire after the lock is released.
    fn with<R>(&self, change: impl FnOnce(&mut Outbox, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let result = change(&mut self.outbox.lock(), &mut wakes);
        wakes.fire();
        result
    }

    /// Takes an occupant; gives its id.
    pub(super) fn open(&self, limit: usize, id: impl FnOnce(u32) -> u32) -> u32 {
        self.stop.store(false, Ordering::Relaxed);
        self.outbox.lock().open(limit, id)
    }

    pub(super) fn finish(&self) {
        self.with(Outbox::finish);
    }

    pub(super) fn close(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.with(Outbox::close);
    }

    pub(super) fn vacate(&self) {
        self.with(Outbox::vacate);
    }

    pub(super) fn stop_reading(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.with(Outbox::wake_reader);
    }

    pub(super) fn queued(&self) -> usize {
        self.outbox.lock().queued()
    }

    pub(super) fn offer(&self, run: &Run<'_>) -> Offer {
        self.with(|outbox, wakes| outbox.offer(run, wakes))
    }

    /// Waits in line until at least one frame of the run is queued or the receiver is gone.
    pub(super) fn send<'a>(&'a self, run: &'a Run<'a>) -> Send<'a> {
        Send { slot: self, run, ticket: None }
    }

    pub(super) async fn take(&self, written: &mut Vec<u8>) -> bool {
        poll_fn(|cx| self.with(|outbox, wakes| outbox.poll_take(written, cx, wakes))).await
    }

    pub(super) fn wrote(&self, n: usize) {
        self.with(|outbox, wakes| outbox.wrote(n, wakes));
    }

    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        self.outbox.lock().poll_closed(cx)
    }

    /// Whether the reader is to stop; wakes it when that changes. `left` is the waker that this reader
    /// has left here: a task's waker hardly ever changes, so the lock is hardly ever taken.
    pub(super) fn poll_stop(&self, left: &mut Option<Waker>, cx: &Context<'_>) -> Poll<()> {
        if !left.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.outbox.lock().set_reader(cx.waker());
            *left = Some(cx.waker().clone());
        }
        if self.stop.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// See [`Slot::send`]. Dropped half-way it leaves the line and passes its turn on.
#[derive(Debug)]
pub(super) struct Send<'a> {
    slot: &'a Slot,
    run: &'a Run<'a>,
    ticket: Option<u64>,
}

impl Future for Send<'_> {
    type Output = Offer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Offer> {
        let Send { slot, run, ticket } = self.get_mut();
        slot.with(|outbox, wakes| outbox.poll_send(run, ticket, cx, wakes))
    }
}

impl Drop for Send<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.slot.with(|outbox, wakes| outbox.forget(ticket, wakes));
        }
    }
}
