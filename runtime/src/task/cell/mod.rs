//! A task's memory: making, queueing and running it, and the output's way to the handle.
//!
//! - [`own`]: the task of a child or a scope, in a cell of our own; [`state`] has its words, [`memory`] where it lies
//! - [`of_async_task`]: a task that is in no hurry, a closure's or a local child's
//!
//! What outlives what, in both:
//!
//! - A [`Runnable`] exists while the task is queued or running. The future is not finished then, its parent has
//!   counted it, so the whole chain up to the blocked root is alive, and with it the scheduler.
//! - A `Waker` is `'static` and may outlive everything. It touches the task's allocation, which it keeps alive,
//!   and, only if it turns the task from parked to queued, parent and scheduler: but then a `Runnable` exists.
//!   A last waker dropped years later frees the allocation, in which nothing is left to drop.
//! - What a wake from a foreign thread touches *after* it has pushed the `Runnable` is protected by the
//!   scheduler's own count of such threads ([`Visitors`](crate::sched::Visitors)).

pub(crate) mod memory;
mod of_async_task;
mod own;
mod state;

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, ready};

use crate::context;
use crate::sched::deque::Item;
use crate::tree::node::NodeRef;
pub(crate) use own::{TASK_ALIGN, TaskRef, is_tasks, waker_of, wakes};

/// A task that is queued or running: a [`Which`] in one word, which is what a queue holds. Turned back when it is run.
#[derive(Debug)]
pub(crate) struct Runnable(NonNull<()>);

/// Set in the address of a task that is async-task's. Both kinds are aligned to more than one byte.
const UNHURRIED: usize = 1;

enum Which {
    Own(own::Runnable),
    Unhurried(of_async_task::Runnable),
}

// SAFETY: what it runs may be sent, or stays on its scheduler's one thread, by the contract of `new_child` and the like.
unsafe impl Send for Runnable {}
// SAFETY: a shared reference gives away the parent, which is `Sync`.
unsafe impl Sync for Runnable {}

impl From<own::Runnable> for Runnable {
    #[inline]
    fn from(runnable: own::Runnable) -> Self {
        Self(runnable.into_raw())
    }
}

impl From<of_async_task::Runnable> for Runnable {
    #[inline]
    fn from(runnable: of_async_task::Runnable) -> Self {
        Self(runnable.into_raw().map_addr(|address| address | UNHURRIED))
    }
}

impl Runnable {
    #[inline]
    fn which(self) -> Which {
        // SAFETY: `self` is forgotten.
        unsafe { ManuallyDrop::new(self).copied() }
    }

    /// # Safety
    /// Of `self` and the result only one is used up.
    #[inline]
    unsafe fn copied(&self) -> Which {
        if self.0.addr().get() & UNHURRIED == 0 {
            // SAFETY: from `into_raw`, there being no mark; turned back once, by contract.
            return Which::Own(unsafe { own::Runnable::from_raw(self.0) });
        }
        // SAFETY: an address with the mark taken off again.
        let raw = unsafe { NonNull::new_unchecked(self.0.as_ptr().map_addr(|address| address & !UNHURRIED)) };
        // SAFETY: likewise, by the mark.
        Which::Unhurried(unsafe { of_async_task::Runnable::from_raw(raw) })
    }

    #[inline]
    fn parent(&self) -> NodeRef {
        // SAFETY: the copy is not used up.
        unsafe { ManuallyDrop::new(self.copied()) }.parent()
    }
}

impl Drop for Runnable {
    #[cold]
    fn drop(&mut self) {
        // Either of which ends the process, or would if the task were any but a model's.
        // SAFETY: `self` goes away.
        drop(unsafe { self.copied() });
    }
}

// SAFETY: the one word.
unsafe impl Item for Runnable {
    #[inline]
    fn into_raw(self) -> NonNull<()> {
        ManuallyDrop::new(self).0
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw)
    }
}

impl Which {
    #[inline]
    fn parent(&self) -> NodeRef {
        match self {
            Self::Own(runnable) => runnable.parent(),
            Self::Unhurried(runnable) => runnable.metadata().parent,
        }
    }
}

/// Whether the two were spawned in the same scope.
#[inline]
pub(crate) fn are_siblings(one: &Runnable, other: &Runnable) -> bool {
    one.parent() == other.parent()
}

/// Makes a task of the child's future that `make` gives; the caller queues it. `make` does not panic.
///
/// A function and no future, so that what wraps the user's is written where it is to lie: built beforehand it is copied,
/// field after field and then in larger pieces, which the processor's store buffer cannot forward (a tenth of a spawn).
///
/// # Safety
/// Until the task has been run to its end, whatever the future borrows stays alive, and so do `parent` and its scheduler.
/// The future may be sent to other threads, or is polled and dropped by its scheduler's one thread; a foreign wake touches the header
/// of its task alone, to queue it there.
#[inline]
pub(crate) unsafe fn new_child<F: Future>(
    parent: NodeRef,
    make: impl FnOnce() -> F,
) -> (Runnable, Slot<F::Output>) {
    // SAFETY: by contract.
    let (runnable, slot) = unsafe { own::new::<F, false>(parent, |_| make()) };
    (runnable.into(), Slot::Own(slot))
}

/// The same for a scope's future, which is told its task.
///
/// # Safety
/// As for [`new_child`].
#[inline]
pub(crate) unsafe fn new_scope<F: Future>(
    parent: NodeRef,
    make: impl FnOnce(TaskRef) -> F,
) -> (Runnable, Slot<F::Output>) {
    // SAFETY: by contract.
    let (runnable, slot) = unsafe { own::new::<F, true>(parent, make) };
    (runnable.into(), Slot::Own(slot))
}

/// The same for a child that is in no hurry: its task is async-task's ([`of_async_task`]).
///
/// # Safety
/// As for [`new_child`].
pub(crate) unsafe fn new_unhurried<F: Future>(
    parent: NodeRef,
    make: impl FnOnce() -> F,
) -> (Runnable, Slot<F::Output>) {
    // SAFETY: by contract.
    let (runnable, slot) = unsafe { of_async_task::new(parent, make) };
    (runnable.into(), Slot::Unhurried(slot))
}

/// Runs a task once, and if it ended, tells its parent.
///
/// A panic that leaves a task's run is none of the user's (those are caught inside) and would leave a task
/// half-counted: the process ends.
#[inline]
pub(crate) fn run(runnable: Runnable) {
    struct NoUnwind;
    impl Drop for NoUnwind {
        fn drop(&mut self) {
            crate::sync::internal_error("a task unwound into the scheduler");
        }
    }
    let no_unwind = NoUnwind;
    let runnable = runnable.which();
    context::begin_run(runnable.parent());
    match runnable {
        Which::Own(runnable) => runnable.run(),
        Which::Unhurried(runnable) => {
            runnable.run();
        }
    }
    context::finish_run();
    std::mem::forget(no_unwind);
}

/// A task's output, or the place for it, as its handle holds it. Ends in a [`poll`](Self::poll) that is ready, or in [`let_go`](Self::let_go).
#[derive(Debug)]
pub(crate) enum Slot<T> {
    Own(own::Slot<T>),
    Unhurried(of_async_task::Slot<T>),
}

impl<T> Slot<T> {
    /// The scope that the task was spawned in.
    pub(crate) fn parent(&self) -> NodeRef {
        match self {
            Self::Own(slot) => slot.parent(),
            Self::Unhurried(slot) => slot.metadata().parent,
        }
    }

    /// Whether the task has ended.
    pub(crate) fn is_finished(&self) -> bool {
        match self {
            Self::Own(slot) => slot.is_finished(),
            Self::Unhurried(slot) => slot.is_finished(),
        }
    }

    /// Waits for the task's end and takes its output; the slot is then used up.
    ///
    /// # Panics
    /// If the slot has been used up before.
    #[inline]
    pub(crate) fn poll(place: &mut Option<Self>, cx: &mut Context<'_>) -> Poll<T> {
        match place {
            Some(Self::Own(slot)) => {
                ready!(slot.poll_ended(cx.waker()));
                // Out of its place first: it is used up, however taking the output ends.
                let Some(Self::Own(slot)) = place.take() else { unreachable!("it was there") };
                // SAFETY: the task has ended.
                Poll::Ready(unsafe { slot.take() })
            }
            Some(Self::Unhurried(slot)) => {
                let output = ready!(Pin::new(slot).poll(cx));
                if let Some(slot) = place.take() {
                    slot.let_go();
                }
                Poll::Ready(output)
            }
            None => panic!("a JoinHandle was polled after its value was taken"),
        }
    }

    /// Gives the handle's part up: the output is dropped as soon as there is one, which does not unwind.
    pub(crate) fn let_go(self) {
        match self {
            Self::Own(slot) => slot.let_go(),
            Self::Unhurried(slot) => slot.detach(),
        }
    }
}
