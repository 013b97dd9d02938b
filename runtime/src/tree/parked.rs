//! The children of one node that are parked: an intrusive list, so that a cancel can reach them.
//!
//! A child enters the list when it first returns `Pending` and leaves it when it ends or when a cancel takes
//! its waker. A child that finishes in its first poll is never on it, so spawning costs no list and no lock. A scope that waits for
//! scopes below enters it later or never, and it may be a descendant that puts it there ([`super::listing`]).
//!
//! The list and every [`Link`] on it are guarded by the node's lock; the functions here say so by asking for
//! `&mut ParkedList`, which only the lock's holder has. A link lies inside its child's pinned task, which
//! takes it off the list before the task's memory goes away ([`ParkedList::remove`]).
//!
//! A task in a cell of our own holds itself until it has ended, and leaves the list before: the waker in its link is **lent**, which
//! spares two read-modify-writes. Any other waker there is a real reference to the task, not a copy of its pointer: async-task frees a
//! detached, pending task *without dropping its future* when its last reference goes, so the tree must hold one for as long as the
//! child can still be polled. Which of them a waker is, its vtable tells ([`is_tasks`]).

use std::marker::PhantomPinned;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::Waker;

use super::kept_waker::KeptWaker;
use super::node::Node;
use super::setup::Label;
use crate::sync::UnsafeCell;
use crate::task::cell::is_tasks;

/// A child's place on its parent's list, and whose place it is. Lies in the child's pinned task; every byte of it is paid
/// for by every task.
#[derive(Debug)]
pub(crate) struct Link {
    /// Guarded by the parent's lock.
    place: UnsafeCell<Place>,
    /// A child's is written when it is made. A scope's is written in [`ParkedList::insert`], under the lock, and read under the
    /// lock, or when nobody is left who could write it.
    owner: UnsafeCell<Tagged>,
    /// Neighbours point here.
    _pinned: PhantomPinned,
}

/// Whose link it is, in one word: the address of a `Location` (a child without a name), of a boxed `Label` that the link
/// owns (with one), or of a `Node` that outlives the link (a scope); which of them is in the low bits.
///
/// Rejected: a `Label` in each child, which is three words for names that few have.
#[derive(Clone, Copy, Debug)]
struct Tagged(*const ());

const UNNAMED: usize = 0;
const NAMED: usize = 1;
const SCOPE: usize = 2;
const TAGS: usize = 3;
const _: () = assert!(
    align_of::<Location<'static>>() > TAGS && align_of::<Label>() > TAGS && align_of::<Node>() > TAGS
);

impl Tagged {
    fn new<T>(ptr: *const T, tag: usize) -> Self {
        Self(ptr.cast::<()>().map_addr(|addr| addr | tag))
    }

    fn tag(self) -> usize {
        self.0.addr() & TAGS
    }

    fn ptr<T>(self) -> *const T {
        self.0.map_addr(|addr| addr & !TAGS).cast()
    }
}

/// Whose place on a list a link is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// A child without a node of its own.
    Child(Label),
    /// The task of this node, which is alive while it is on the list.
    Scope(NonNull<Node>),
}

#[derive(Debug)]
struct Place {
    /// There is one exactly while the link is on the list. One of ours is lent: it is cloned or forgotten, never dropped.
    waker: KeptWaker,
    prev: Option<NonNull<Link>>,
    next: Option<NonNull<Link>>,
}

// SAFETY: `place` is only touched under the parent's lock, `owner` as its field says; wakers, labels and nodes are
// `Send + Sync`.
unsafe impl Send for Link {}
// SAFETY: as above.
unsafe impl Sync for Link {}

impl Link {
    /// The link of a child without a node of its own.
    #[inline]
    pub(crate) fn of_child(label: Label) -> Self {
        Self::new(match label.name {
            None => Tagged::new(label.location, UNNAMED),
            Some(_) => Tagged::new(Box::into_raw(Box::new(label)), NAMED),
        })
    }

    /// The link of a scope's task; whose it is, is told when it is put on a list.
    #[inline]
    pub(crate) fn of_scope() -> Self {
        Self::new(Tagged::new::<Node>(std::ptr::null(), SCOPE))
    }

    fn new(owner: Tagged) -> Self {
        Self {
            place: UnsafeCell::new(Place { waker: KeptWaker::none(), prev: None, next: None }),
            owner: UnsafeCell::new(owner),
            _pinned: PhantomPinned,
        }
    }

    /// The label of a child without a node of its own.
    pub(crate) fn label(&self) -> Label {
        match self.owner() {
            Some(Who::Child(label)) => label,
            _ => unreachable!("asked of a child's link"),
        }
    }

    /// Called under the lock, or by a child for its own link, or by the link's owner when it drops it.
    fn tagged(&self) -> Tagged {
        // SAFETY: a child's is not written any more; a scope's is written under the lock, by its own task or for those below it, who
        // are gone when it is dropped.
        self.owner.with(|owner| unsafe { *owner })
    }

    /// Whose link it is; `None` for a scope that has not been put on a list. Called as [`tagged`](Self::tagged).
    fn owner(&self) -> Option<Who> {
        let owner = self.tagged();
        if owner.tag() == SCOPE {
            return NonNull::new(owner.ptr::<Node>().cast_mut()).map(Who::Scope);
        }
        Some(Who::Child(if owner.tag() == NAMED {
            // SAFETY: a box that the link owns.
            unsafe { *owner.ptr::<Label>() }
        } else {
            // SAFETY: made from a reference that lives for ever.
            let location: &'static Location<'static> = unsafe { &*owner.ptr::<Location<'static>>() };
            Label { name: None, location }
        }))
    }
}

impl Drop for Link {
    #[inline]
    fn drop(&mut self) {
        let owner = self.tagged();
        if owner.tag() == NAMED {
            // SAFETY: from `Box::into_raw` in `of_child`, and the link goes away once.
            drop(unsafe { Box::from_raw(owner.ptr::<Label>().cast_mut()) });
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

impl Drop for ParkedList {
    #[inline]
    fn drop(&mut self) {
        debug_assert!(self.is_empty(), "whoever was parked has ended, and left the list before");
    }
}

impl ParkedList {
    /// Runs `f` on everybody on the list, newest first.
    pub(crate) fn for_each(&mut self, mut f: impl FnMut(Who)) {
        let mut at = self.head;
        while let Some(link) = at {
            // SAFETY: on the list, hence alive; no place is borrowed here.
            at = unsafe { self.at(link, |place| place.next) };
            // SAFETY: on the list, hence alive.
            unsafe { link.as_ref() }.owner().into_iter().for_each(&mut f);
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

    /// Puts `link` on the list, keeping `waker`, its task's own, for a cancel. A link that is on it already stays as it is: a
    /// task has one waker for life. `scope` is whose link it is, if it is a scope's.
    ///
    /// # Safety
    /// `link` is pinned, belongs to a child of this list's node, which is the caller or waits for the caller, and will be removed
    /// before it goes away. `scope` is alive for as long, and `waker` that of the link's task, if it is a task's at all.
    pub(crate) unsafe fn insert(&mut self, link: NonNull<Link>, scope: Option<NonNull<Node>>, waker: &Waker) {
        let head = self.head;
        let keep = || {
            if is_tasks(waker) {
                // SAFETY: the task is there while its link is on the list, by contract; `remove` and `pop` forget what they take.
                unsafe { KeptWaker::lent(waker) }
            } else {
                KeptWaker::some(waker.clone())
            }
        };
        // SAFETY: alive and of this node by contract; no other place is borrowed here.
        let inserted = unsafe {
            self.at(link, |place| {
                if place.waker.is_some() {
                    return false;
                }
                *place = Place { waker: keep(), prev: None, next: head };
                true
            })
        };
        if !inserted {
            return;
        }
        if let Some(scope) = scope {
            let owner = Tagged::new(scope.as_ptr(), SCOPE);
            // SAFETY: alive by contract.
            let link = unsafe { link.as_ref() };
            // SAFETY: `&mut self` shows that the lock is held, under which alone it is read while the link may be put on a list.
            link.owner.with_mut(|slot| unsafe { *slot = owner });
        }
        if let Some(old) = head {
            // SAFETY: on the list, hence alive.
            unsafe { self.at(old, |place| place.prev = Some(link)) };
        }
        self.head = Some(link);
    }

    /// Takes `link` off the list, if it is on it, and gives back the waker that it had, for the caller to drop once the lock is
    /// released. A lent one it forgets.
    ///
    /// # Safety
    /// `link` is alive and belongs to a child of this list's node.
    pub(crate) unsafe fn remove(&mut self, link: NonNull<Link>) -> Option<Waker> {
        // SAFETY: by contract.
        let waker = unsafe { self.unlink(link) }?;
        if is_tasks(&waker) {
            std::mem::forget(waker);
            return None;
        }
        Some(waker)
    }

    /// Takes `link` off the list, if it is on it; the waker may be lent.
    ///
    /// # Safety
    /// `link` is alive and belongs to a child of this list's node.
    unsafe fn unlink(&mut self, link: NonNull<Link>) -> Option<Waker> {
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

    /// Takes some link off the list and gives a waker of it, which the caller owns.
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        let head = self.head?;
        // SAFETY: on the list, hence alive.
        let waker = unsafe { self.unlink(head) }?;
        if is_tasks(&waker) {
            // Its task cannot end before it has had the lock, which is held here.
            return Some((*ManuallyDrop::new(waker)).clone());
        }
        Some(waker)
    }
}
