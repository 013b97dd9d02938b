//! The lane of children just spawned: newest first for its owner, oldest first for thieves.
//!
//! ```text
//!        oldest ◀──────────────────────────────────────────────▶ newest
//!       ┌ public: a deque that thieves can see ┐┌ private: the owner's alone ┐
//!  steal│                                      ││                            │push, pop_newest
//!       └──────────────────────────────────────┘└────────────────────────────┘
//!                                        offer: ◀── the private part's oldest
//! ```
//!
//! Popping from a work-stealing deque costs a full memory fence each time, for the one case that a thief is after
//! the same item. In a tree most children are run by the worker that spawned them, so most need not be visible to
//! anybody: the newest lie in a plain queue, and only the oldest are offered to thieves ("Scheduling parallel programs
//! by work stealing with private deques", Acar, Charguéraud and Rainey, PPoPP 2013, for the idea; here the public
//! part is an ordinary deque instead of a mailbox, so that a thief need not wait for an answer).
//!
//! The rule that keeps thieves fed: after every push and at every pick, the public part is not empty if the private
//! one is not ([`SpawnLane::offer`]); and while somebody is idle ("hungry"), half of the private part is made public.
//! What this gives up: while one poll goes on, a thief gets what was public when the poll last spawned, and the rest
//! only at the next spawn or pick. A poll that never ends is the caller's breach of cooperation anyway.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::deque::{Item, Owner, Stealer, deque};

/// How many tasks one offer makes public at most.
const OFFER_MAX: usize = 32;

/// The owner's side; thieves have the public part's [`Stealer`].
pub(crate) struct SpawnLane<T: Item> {
    private: RefCell<VecDeque<T>>,
    public: Owner<T>,
    /// Whether there are thieves at all.
    stealable: bool,
}

impl<T: Item> SpawnLane<T> {
    /// An empty lane whose public ring has `len` slots at first.
    pub(crate) fn new(len: usize, stealable: bool) -> (Self, Stealer<T>) {
        let (public, stealer) = deque(len);
        (Self { private: RefCell::new(VecDeque::with_capacity(len)), public, stealable }, stealer)
    }

    /// Puts a child in as the newest; `hungry` says that somebody is idle.
    #[inline]
    pub(crate) fn push(&self, item: T, hungry: bool) {
        self.private.borrow_mut().push_back(item);
        self.offer(hungry);
    }

    /// Takes the newest child.
    #[inline]
    pub(crate) fn pop_newest(&self) -> Option<T> {
        let newest = self.private.borrow_mut().pop_back();
        newest.or_else(|| self.public.pop_newest())
    }

    /// Takes the oldest child, in competition with thieves.
    pub(crate) fn take_oldest(&self) -> Option<T> {
        self.public.take_oldest().or_else(|| self.private.borrow_mut().pop_front())
    }

    /// Keeps the rule of the [module](self).
    #[inline]
    pub(crate) fn offer(&self, hungry: bool) {
        if self.stealable && (hungry || self.public.len() == 0) {
            self.publish(hungry);
        }
    }

    fn publish(&self, hungry: bool) {
        let mut private = self.private.borrow_mut();
        let share = if hungry { private.len().div_ceil(2).min(OFFER_MAX) } else { 1 };
        let share = share.min(private.len());
        for item in private.drain(..share) {
            self.public.push(item);
        }
    }

    /// Whether there is a child that the owner has not taken; exact but for thieves.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.public.len() == 0 && self.private.borrow().is_empty()
    }

    /// Changes whenever a thief, or [`take_oldest`](Self::take_oldest), takes the oldest child.
    pub(crate) fn oldest_index(&self) -> usize {
        self.public.oldest_index()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sched::deque::Steal;

    fn lane(stealable: bool) -> (SpawnLane<Box<usize>>, Stealer<Box<usize>>) {
        SpawnLane::new(2, stealable)
    }

    #[test]
    fn owner_gets_newest_thief_gets_oldest() {
        let (lane, thief) = lane(true);
        (0..10).for_each(|n| lane.push(Box::new(n), false));
        assert!(matches!(thief.steal(), Steal::Taken(n) if *n == 0));
        assert!((1..10).rev().all(|n| lane.pop_newest().as_deref() == Some(&n)));
        assert!(lane.is_empty());
    }

    #[test]
    fn something_is_public_whenever_something_is_private() {
        let (lane, thief) = lane(true);
        (0..10).for_each(|n| lane.push(Box::new(n), false));
        for n in 0..10 {
            assert!(matches!(thief.steal(), Steal::Taken(got) if *got == n));
            lane.offer(false);
        }
        assert!(lane.is_empty());
    }

    #[test]
    fn the_hungry_are_offered_half() {
        let (lane, thief) = lane(true);
        (0..10).for_each(|n| lane.push(Box::new(n), false));
        lane.offer(true);
        assert_eq!(thief.len(), 1 + 5);
        assert_eq!(lane.take_oldest().as_deref(), Some(&0));
    }

    #[test]
    fn without_thieves_all_stays_private() {
        let (lane, thief) = lane(false);
        (0..10).for_each(|n| lane.push(Box::new(n), true));
        assert_eq!(thief.len(), 0);
        assert_eq!(lane.take_oldest().as_deref(), Some(&0));
        assert_eq!(lane.pop_newest().as_deref(), Some(&9));
    }
}
