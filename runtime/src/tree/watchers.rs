//! Wakers of futures that wait for something of a node: users' own, so they are called and dropped under no lock.

use std::task::Waker;

use super::failure;

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
