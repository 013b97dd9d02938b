//! Who waits for a cancel to be requested. The wakers are users' own, so they are called and dropped under no lock; a drain keeps its in
//! the same way ([`super::drain`]).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::failure;
use super::node::{Node, Rare};

/// Who waits. A future that polls again says by its key which waker it replaces, and takes its waker out when it is dropped.
#[derive(Default)]
pub(super) struct Watchers {
    /// The last key that was given out.
    last: u64,
    list: Vec<(u64, Waker)>,
}

impl Watchers {
    /// Keeps `waker` under `key`, or under a new one, which it gives; and the waker to be dropped that was kept before.
    pub(super) fn put(&mut self, key: Option<u64>, waker: Waker) -> (u64, Option<Waker>) {
        let key = key.unwrap_or_else(|| {
            self.last += 1;
            self.last
        });
        match self.list.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => (key, Some(std::mem::replace(old, waker))),
            None => {
                self.list.push((key, waker));
                (key, None)
            }
        }
    }

    /// The waker kept under `key`, to be dropped.
    pub(super) fn remove(&mut self, key: u64) -> Option<Waker> {
        let place = self.list.iter().position(|(other, _)| *other == key)?;
        Some(self.list.swap_remove(place).1)
    }

    /// All of them, to be [woken](Self::wake) once no lock is held. The keys stay good.
    pub(super) fn take(&mut self) -> Self {
        Self { last: self.last, list: std::mem::take(&mut self.list) }
    }

    /// Wakes them.
    pub(super) fn wake(self) {
        for (_, waker) in self.list {
            // A waker that panics must not cost the others their wake, nor unwind into whoever wakes.
            if let Err(payload) = failure::guard(|| waker.wake()) {
                failure::discard(payload);
            }
        }
    }
}

impl Node {
    /// Has `waker` woken when a cancel is requested. `key` is what an earlier call gave.
    fn watch(&self, key: Option<u64>, waker: &Waker) -> u64 {
        // Whoever waits may be a thread, which this scope's own task waits for in vain.
        self.list_path();
        let waker = waker.clone();
        let mut held = self.held.lock();
        let Rare { watchers, .. } = held.rare();
        let (key, old) = watchers.put(key, waker);
        drop(held);
        drop(old);
        key
    }

    /// Forgets what [`watch`](Self::watch) was told.
    fn unwatch(&self, key: u64) {
        let mut held = self.held.lock();
        let old = held.rare_if_any().and_then(|rare| rare.watchers.remove(key));
        drop(held);
        drop(old);
    }
}

/// Waits for a cancel to be requested; made by [`Scope::cancelled`](crate::Scope::cancelled).
#[derive(Debug)]
pub struct Cancelled<'a> {
    node: &'a Node,
    /// What the node knows this future by, and whom it wakes.
    watch: Option<(u64, Waker)>,
}

impl<'a> Cancelled<'a> {
    pub(super) fn of(node: &'a Node) -> Self {
        Self { node, watch: None }
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.node.is_cancelled() {
            return Poll::Ready(());
        }
        let key = match &self.watch {
            // A task's waker hardly ever changes, so the lock is taken once for many polls.
            Some((_, waker)) if waker.will_wake(cx.waker()) => return Poll::Pending,
            watch => watch.as_ref().map(|(key, _)| *key),
        };
        self.watch = Some((self.node.watch(key, cx.waker()), cx.waker().clone()));
        // A request that came in between has not seen the waker.
        if self.node.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        if let Some((key, _)) = self.watch {
            self.node.unwatch(key);
        }
    }
}
