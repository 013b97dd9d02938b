//! A connection's place in the router, for as long as it has one.

use std::fmt::Debug;
use std::ops::Deref;
use std::task::{Context, Poll};

use super::Router;
use super::slot::Slot;

/// A way to hold the router: `&Router` in a tree, whose tasks may borrow; `Arc<Router>` where they may not.
pub trait Hold: Deref<Target = Router> + Clone + Debug + Send + Sync {}

impl<R: Deref<Target = Router> + Clone + Debug + Send + Sync> Hold for R {}

/// A connection's place in the router; its id is live until this is dropped.
#[derive(Debug)]
pub struct Seat<R: Hold> {
    router: R,
    index: usize,
    id: u32,
}

impl<R: Hold> Seat<R> {
    /// Gives a new connection its id, and queues the greeting. `None` if there is no room.
    pub fn new(router: R) -> Option<Self> {
        let (index, id) = router.registry.sit()?;
        router.stats.connections.add(1);
        Some(Seat { router, index, id })
    }

    /// Where the seat is.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The connection's id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Gives the writer everything that is queued, in exchange for `written`, the buffer that it got
    /// last time and has written. Pending while nothing is; `false` if there will be nothing more.
    pub fn poll_take(&self, written: &mut Vec<u8>, cx: &Context<'_>) -> Poll<bool> {
        self.slot().map_or(Poll::Ready(false), |slot| slot.poll_take(self.limit(), written, cx))
    }

    /// Tells that the kernel took `n` bytes of what the writer holds, and not all of it.
    pub fn wrote(&self, n: usize) {
        if let Some(slot) = self.slot() {
            slot.wrote(self.limit(), n);
        }
    }

    /// Accepts no more frames; [`poll_take`](Seat::poll_take) gives what is queued, then `false`.
    pub fn finish(&self) {
        if let Some(slot) = self.slot() {
            slot.finish();
        }
    }

    /// How many bytes are queued for the connection.
    pub fn queued(&self) -> usize {
        self.slot().map_or(0, Slot::queued)
    }

    /// Marks that the connection's reader runs, until what this gives is dropped.
    pub fn reading(&self) -> Reading<'_> {
        self.router.registry.reads();
        Reading(&self.router)
    }

    /// Of what is queued.
    fn limit(&self) -> usize {
        self.router.limits.queue_bytes
    }

    /// Always there. It is looked up by its place, once per system call, for a reference beside an `Arc` of what
    /// it refers to cannot be had.
    fn slot(&self) -> Option<&Slot> {
        self.router.registry.at(self.index)
    }
}

impl<R: Hold> Drop for Seat<R> {
    fn drop(&mut self) {
        self.router.registry.vacate(self.index);
    }
}

/// See [`Seat::reading`].
#[derive(Debug)]
pub struct Reading<'r>(&'r Router);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.registry.reads_no_more();
    }
}

/// A connection whose state is kept elsewhere: it has an id, is counted while it reads, and the router routes
/// nothing to it.
#[derive(Debug)]
pub struct Guest<R: Hold> {
    router: R,
    id: u32,
}

impl<R: Hold> Guest<R> {
    /// Counts a new connection and gives it an id that no other guest has. `None` if there is no room.
    pub fn new(router: R) -> Option<Self> {
        let id = router.registry.enter()?;
        router.stats.connections.add(1);
        Some(Guest { router, id })
    }

    /// Where the connection is counted.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The connection's id, unique until this is dropped.
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl<R: Hold> Drop for Guest<R> {
    fn drop(&mut self) {
        self.router.registry.leave(self.id);
    }
}
