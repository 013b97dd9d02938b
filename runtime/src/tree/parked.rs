//! The children of one node that are parked: an intrusive list, so that a cancel can reach them.
//!
//! A child enters the list when it first returns `Pending` and leaves it when it ends or when a cancel takes
//! its waker. A child that finishes in its first poll is never on it, so spawning costs no list and no lock.
//!
//! The list and every [`Link`] on it are guarded by the node's lock; the functions here say so by asking for
//! `&mut ParkedList`, which only the lock's holder has. A link lies inside its child's pinned task, which
//! takes it off the list before the task's memory goes away ([`ParkedList::remove`]).
//!
//! The waker in a link is a real reference to the task, not a copy of its pointer: async-task frees a
//! detached, pending task *without dropping its future* when its last reference goes, so the tree must hold
//! one for as long as the child can still be polled.

use std::marker::PhantomPinned;
use std::ptr::NonNull;
use std::task::Waker;

use super::node::Node;
use super::setup::Label;
use crate::sync::UnsafeCell;

/// A child's place on its parent's list. Lies in the child's pinned task.
#[derive(Debug)]
pub(crate) struct Link {
    /// Guarded by the parent's lock.
    place: UnsafeCell<Place>,
    /// Neighbours point here.
    _pinned: PhantomPinned,
}

/// Whose place on a list a link is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// A child without a node.
    Child(Label),
    /// The task of this node, which is alive while it is on the list.
    Scope(NonNull<Node>),
}

#[derive(Debug)]
struct Place {
    /// `Some` exactly while the link is on the list.
    waker: Option<Waker>,
    /// As told when it was put there.
    who: Option<Who>,
    prev: Option<NonNull<Link>>,
    next: Option<NonNull<Link>>,
}

// SAFETY: `place` is only touched under the parent's lock, and wakers are `Send + Sync`.
unsafe impl Send for Link {}
// SAFETY: as above.
unsafe impl Sync for Link {}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            place: UnsafeCell::new(Place { waker: None, who: None, prev: None, next: None }),
            _pinned: PhantomPinned,
        }
    }
}

/// The list's head. Invariant: every link on it is alive and pinned.
#[derive(Debug)]
pub(crate) struct ParkedList {
    head: Option<NonNull<Link>>,
}

// SAFETY: links are `Send + Sync`, and the list is reached through its lock only.
unsafe impl Send for ParkedList {}

impl ParkedList {
    /// Runs `f` on everybody on the list, newest first.
    pub(crate) fn for_each(&mut self, mut f: impl FnMut(Who)) {
        let mut at = self.head;
        while let Some(link) = at {
            // SAFETY: on the list, hence alive; no place is borrowed here.
            let (who, next) = unsafe { self.at(link, |place| (place.who, place.next)) };
            who.into_iter().for_each(&mut f);
            at = next;
        }
    }

    pub(crate) const fn new() -> Self {
        Self { head: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Runs `f` on the place of `link`.
    ///
    /// # Safety
    /// `link` is alive and belongs to this list's node, and no other reference to its place exists.
    unsafe fn at<R>(&mut self, link: NonNull<Link>, f: impl FnOnce(&mut Place) -> R) -> R {
        // SAFETY: alive by contract.
        let link = unsafe { link.as_ref() };
        link.place.with_mut(|place| {
            // SAFETY: `&mut self` shows that the lock is held, which guards the place; unaliased by contract.
            let place = unsafe { &mut *place };
            f(place)
        })
    }

    /// Puts `link` on the list, keeping `waker` for a cancel. A link that is on it already stays as it is: a
    /// task has one waker for life.
    ///
    /// # Safety
    /// `link` is pinned, belongs to a child of this list's node, and will be removed before it goes away.
    pub(crate) unsafe fn insert(&mut self, link: NonNull<Link>, who: Who, waker: &Waker) {
        let head = self.head;
        // SAFETY: alive and of this node by contract; no other place is borrowed here.
        let inserted = unsafe {
            self.at(link, |place| {
                if place.waker.is_some() {
                    return false;
                }
                *place = Place { waker: Some(waker.clone()), who: Some(who), prev: None, next: head };
                true
            })
        };
        if !inserted {
            return;
        }
        if let Some(old) = head {
            // SAFETY: on the list, hence alive.
            unsafe { self.at(old, |place| place.prev = Some(link)) };
        }
        self.head = Some(link);
    }

    /// Takes `link` off the list, if it is on it, and gives back the waker for the caller to drop or wake
    /// once the lock is released.
    ///
    /// # Safety
    /// `link` is alive and belongs to a child of this list's node.
    pub(crate) unsafe fn remove(&mut self, link: NonNull<Link>) -> Option<Waker> {
        // SAFETY: alive by contract; no other place is borrowed here.
        let (waker, prev, next) =
            unsafe { self.at(link, |place| (place.waker.take(), place.prev.take(), place.next.take())) };
        let waker = waker?;
        match prev {
            // SAFETY: a neighbour is on the list, hence alive.
            Some(prev) => unsafe { self.at(prev, |place| place.next = next) },
            None => self.head = next,
        }
        if let Some(next) = next {
            // SAFETY: a neighbour is on the list, hence alive.
            unsafe { self.at(next, |place| place.prev = prev) };
        }
        Some(waker)
    }

    /// Wakes `link`'s task if it is on the list, leaving it there.
    ///
    /// # Safety
    /// `link` is alive and belongs to a child of this list's node.
    pub(crate) unsafe fn wake(&mut self, link: NonNull<Link>) {
        // SAFETY: alive by contract. The waker is one of our own tasks': waking it pushes to a queue and runs
        // no user code, so the list is not re-entered.
        unsafe {
            self.at(link, |place| {
                if let Some(waker) = &place.waker {
                    waker.wake_by_ref();
                }
            })
        }
    }

    /// Takes some link off the list and gives its waker.
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        let head = self.head?;
        // SAFETY: on the list, hence alive.
        unsafe { self.remove(head) }
    }
}
