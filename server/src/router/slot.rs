//! The place of one connection at a time: its outbox behind a lock, and the future that waits for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use parking_lot::Mutex;

use super::outbox::{Offer, Outbox, Wakes};
use crate::protocol::Run;

/// Aligned so that neighbours, which other workers use, do not share a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Slot {
    outbox: Mutex<Outbox>,
}

const _: () = assert!(size_of::<Slot>() == 64);

impl Slot {
    /// Changes the outbox; wakers fire after the lock is released.
    fn with<R>(&self, change: impl FnOnce(&mut Outbox, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let result = change(&mut self.outbox.lock(), &mut wakes);
        wakes.fire();
        result
    }

    /// Takes an occupant; gives its id.
    pub(super) fn open(&self, next: impl FnOnce(u32) -> u32) -> u32 {
        self.outbox.lock().open(next)
    }

    pub(super) fn finish(&self) {
        self.with(Outbox::finish);
    }

    pub(super) fn vacate(&self) {
        self.with(Outbox::vacate);
    }

    pub(super) fn queued(&self) -> usize {
        self.outbox.lock().queued()
    }

    pub(super) fn offer(&self, limit: usize, run: &Run<'_>) -> Offer {
        self.with(|outbox, wakes| outbox.offer(limit, run, wakes))
    }

    /// Waits in line until at least one frame of the run is queued or the receiver is gone.
    pub(super) fn send<'a>(&'a self, limit: usize, run: &'a Run<'a>) -> Send<'a> {
        Send { slot: self, limit, run, ticket: None }
    }

    pub(super) fn poll_take(&self, limit: usize, written: &mut Vec<u8>, cx: &Context<'_>) -> Poll<bool> {
        self.with(|outbox, wakes| outbox.poll_take(limit, written, cx, wakes))
    }

    pub(super) fn wrote(&self, limit: usize, n: usize) {
        self.with(|outbox, wakes| outbox.wrote(limit, n, wakes));
    }
}

/// See [`Slot::send`]. Dropped half-way it leaves the line and passes its turn on.
#[derive(Debug)]
pub(super) struct Send<'a> {
    slot: &'a Slot,
    limit: usize,
    run: &'a Run<'a>,
    ticket: Option<u64>,
}

impl Future for Send<'_> {
    type Output = Offer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Offer> {
        let Send { slot, limit, run, ticket } = self.get_mut();
        slot.with(|outbox, wakes| outbox.poll_send(*limit, run, ticket, cx, wakes))
    }
}

impl Drop for Send<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.slot.with(|outbox, wakes| outbox.forget(self.limit, ticket, wakes));
        }
    }
}
