//! The task of a child or a scope, in a cell of our own.
//!
//! # Why not async-task's
//!
//! Most tasks of a tree live for two polls at most, and their handles are awaited by the scope above. async-task's word tells of task,
//! handle, wakers and queue at once, so each of them takes part in each change: a task that ends in its first poll is six
//! read-modify-writes there and one here. And its memory is the allocator's, which here a worker [puts by](super::memory). Together
//! they were three quarters of the time of a task that does nothing; `sched/README.md` has what each measures.
//!
//! # Who touches what
//!
//! | what | whose |
//! |---|---|
//! | the future | whoever runs the task: the worker that took its [`Runnable`] from a queue |
//! | the output, which lies in the same place | the runner's until [`JoinState::end`] or `told` say whose it is then |
//! | `waker` | the handle's or the runner's, as [`JoinState`] says |
//! | `parent` | never changed. Whoever has the [`Runnable`] uses it; a waker only when it turns the task from parked to queued, which makes it one of those; and the handle, which does not outlive it |
//! | the memory | the last holder's: wakers, and task and handle as one holder between them |
//!
//! This file has the cell and who runs it, [`slot`] the handle's side, [`waker`] the wakers'.
//!
//! A waker is `'static` and may be the last of all: freeing the memory needs nothing of the runtime that made it, for by then future and output
//! have been dropped or taken. (An output whose handle was leaked is leaked with it.)

mod slot;
mod waker;

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use super::memory;
use super::state::{AfterEnd, AfterPause, End, Holders, JoinState, WakeState};
use crate::sync::UnsafeCell;
use crate::tree::node::NodeRef;
pub(crate) use slot::Slot;
pub(crate) use waker::{TASK_ALIGN, TaskRef, is_tasks, waker_of, wakes};

/// What a waker or a queue knows of a task.
struct Header {
    wakes: WakeState,
    holders: Holders,
    join: JoinState,
    vtable: &'static VTable,
    /// Counts the task until it has been run to its end.
    parent: NodeRef,
    /// The waker that the handle leaves. Boxed, because few are left, the scope above being told [otherwise](JoinState::leave_to_above),
    /// and every parked task pays for the place.
    waker: UnsafeCell<Option<Box<Waker>>>,
    /// Stands for what lies behind the header, the future or the output, which are raw memory to loom.
    content: UnsafeCell<()>,
}

/// What only the maker of a task knows how to do.
struct VTable {
    /// Polls the future; if it is ready, drops it and leaves the output.
    ///
    /// # Safety
    /// The header is that of a cell of the vtable's type, and the caller has its [`Runnable`], which this uses up.
    run: unsafe fn(NonNull<Header>),
    /// Frees the memory.
    ///
    /// # Safety
    /// The header is that of a cell of the vtable's type. The caller was its last holder; future and output are gone.
    free: unsafe fn(NonNull<Header>),
    /// Whether it is a scope's task.
    is_scopes: bool,
}

/// A cell whose task has ended, as its handle knows it: where the output lies hangs on its type alone.
#[repr(C)]
struct Ended<T> {
    header: Header,
    output: T,
}

/// A cell whose task has not ended.
#[repr(C)]
struct Live<F> {
    header: Header,
    future: F,
}

/// The cell of a task whose future is an `F`: both begin with the header.
#[repr(C)]
union Cell<F: Future, const IS_SCOPES: bool> {
    live: ManuallyDrop<Live<F>>,
    ended: ManuallyDrop<Ended<F::Output>>,
}

/// Bytes from which on a future is large.
const LARGE: usize = 1 << 10;

/// Makes a task of the future that `make` gives; the caller queues it. `make` does not panic.
///
/// A large future is put into a box of its own, so that it goes when the task ends, though the handle, and with it the cell, be kept.
///
/// # Safety
/// As for [`super::new_child`].
#[inline]
pub(super) unsafe fn new<F: Future, const IS_SCOPES: bool>(
    parent: NodeRef,
    make: impl FnOnce(TaskRef) -> F,
) -> (Runnable, Slot<F::Output>) {
    if size_of::<F>() <= LARGE {
        // SAFETY: by contract.
        unsafe { new_inline::<F, IS_SCOPES>(parent, make) }
    } else {
        // SAFETY: likewise.
        unsafe { new_inline::<Pin<Box<F>>, IS_SCOPES>(parent, |task| Box::pin(make(task))) }
    }
}

/// # Safety
/// As for [`new`].
#[inline]
unsafe fn new_inline<F: Future, const IS_SCOPES: bool>(
    parent: NodeRef,
    make: impl FnOnce(TaskRef) -> F,
) -> (Runnable, Slot<F::Output>) {
    let cell = memory::allocate::<Cell<F, IS_SCOPES>>(parent.sched());
    let at = cell.cast::<Live<F>>().as_ptr();
    // Field by field: see `super::new_child`.
    // SAFETY: inside the allocation.
    let header = unsafe { &raw mut (*at).header };
    // SAFETY: as above.
    let future = unsafe { &raw mut (*at).future };
    let fresh = Header {
        wakes: WakeState::new(),
        holders: Holders::new(),
        join: JoinState::new(),
        vtable: &Cell::<F, IS_SCOPES>::VTABLE,
        parent,
        waker: UnsafeCell::new(None),
        content: UnsafeCell::new(()),
    };
    // SAFETY: valid for writes and aligned, being a field's place.
    unsafe { header.write(fresh) };
    // SAFETY: as above.
    unsafe { future.write(make(TaskRef::new(cell.cast()))) };
    (Runnable(cell.cast()), Slot::new(cell.cast()))
}

impl<F: Future, const IS_SCOPES: bool> Cell<F, IS_SCOPES> {
    const VTABLE: VTable = VTable { run: Self::run, free: Self::free, is_scopes: IS_SCOPES };

    /// # Safety
    /// As for [`VTable::run`].
    unsafe fn run(at: NonNull<Header>) {
        // SAFETY: by contract, a cell; the task has not ended, so it holds the memory until `pause` or `end` below.
        let header = unsafe { at.as_ref() };
        // SAFETY: inside the allocation, by contract.
        let future = unsafe { &raw mut (*at.cast::<Live<F>>().as_ptr()).future };
        header.wakes.begin();
        // SAFETY: the task holds the memory while it has not ended, and the waker goes no further than the poll.
        let waker = unsafe { waker::lent(at) };
        let polled = header.content.with_mut(|_| {
            // SAFETY: it is the runner's, and has not been dropped, as the task has not ended.
            let future: &mut F = unsafe { &mut *future };
            // SAFETY: it never leaves its place, where it is dropped below.
            unsafe { Pin::new_unchecked(future) }.poll(&mut Context::from_waker(&waker))
        });
        match polled {
            Poll::Pending => match header.wakes.pause() {
                AfterPause::Leave => {}
                AfterPause::Queue => Runnable(at).schedule(true),
            },
            Poll::Ready(output) => {
                // SAFETY: inside the allocation, which is large and aligned enough for both.
                let place = unsafe { &raw mut (*at.cast::<Ended<F::Output>>().as_ptr()).output };
                header.content.with_mut(|_| {
                    // SAFETY: the runner's, and dropped once: the task has ended, and is not polled again.
                    unsafe { future.drop_in_place() };
                    // SAFETY: the runner's until `end`; nothing of value is left there.
                    unsafe { place.write(output) };
                });
                // SAFETY: the output has been written.
                unsafe { Ended::<F::Output>::end(at.cast()) };
            }
        }
    }

    /// # Safety
    /// As for [`VTable::free`].
    unsafe fn free(at: NonNull<Header>) {
        // SAFETY: by contract: a cell's, and nobody else is left.
        let last = unsafe { at.as_ref() };
        // For loom, which sees no memory go away: the last use of all that lies there.
        last.waker.with_mut(|_| ());
        last.content.with_mut(|_| ());
        // SAFETY: as above. Future and output are gone.
        unsafe { at.drop_in_place() };
        // SAFETY: from `new`, and dropped.
        unsafe { memory::free(at.cast::<Self>()) };
    }
}

impl<T> Ended<T> {
    /// The task has ended: leaves the output to the handle, or drops it if there is none any more.
    ///
    /// # Safety
    /// The caller runs the task, and has written its output.
    #[inline]
    unsafe fn end(at: NonNull<Self>) {
        // SAFETY: held by the task until `end` or `told` says otherwise.
        let header = unsafe { at.cast::<Header>().as_ref() };
        let parent = header.parent;
        let End { wakes_above, after } = header.join.end();
        if wakes_above {
            // The cell may be gone, but not the parent, which is yet to be told of this end.
            if let Some(task) = parent.task() {
                // SAFETY: its scope waits for the child that ends here.
                unsafe { task.wake() };
            }
        }
        let after = match after {
            // SAFETY: the task's until `told`.
            AfterEnd::TakeWaker => unsafe { Header::tell(at.cast()) },
            after => after,
        };
        if after == AfterEnd::Unwanted {
            // SAFETY: written, by contract, and nobody else's any more.
            unsafe { Self::drop_output(at) };
        }
        if matches!(after, AfterEnd::Unwanted | AfterEnd::Taken) {
            // SAFETY: the task and its handle are one holder, and both have done with it.
            unsafe { Header::let_go(at.cast()) };
        }
    }

    /// Drops the output, which does not unwind: it is an [`Outcome`](crate::task::outcome::Outcome), which see.
    ///
    /// # Safety
    /// It has been written, is the caller's, and is not used again.
    unsafe fn drop_output(at: NonNull<Self>) {
        // SAFETY: inside the allocation, which the caller holds.
        let output = unsafe { &raw mut (*at.as_ptr()).output };
        // SAFETY: as above.
        let header = unsafe { at.cast::<Header>().as_ref() };
        // SAFETY: the caller's, written and not used again, by contract.
        header.content.with_mut(|_| unsafe { output.drop_in_place() });
    }
}

impl Header {
    /// Wakes whoever awaits the handle. The cell may be gone before that, if the handle has not been let go.
    ///
    /// By address and not by reference, which would promise memory that the handle may free during the call; and so for the other
    /// last touches here.
    ///
    /// # Safety
    /// The caller runs the task and has found [`AfterEnd::TakeWaker`].
    #[inline]
    unsafe fn tell(at: NonNull<Self>) -> AfterEnd {
        // SAFETY: held by the task until `told`.
        let header = unsafe { at.as_ref() };
        let waker = header.waker.with_mut(|place| {
            // SAFETY: the task's until `told`.
            unsafe { &mut *place }.take()
        });
        let after = header.join.told();
        if let Some(waker) = waker {
            (*waker).wake();
        }
        after
    }

    /// One less holds the memory.
    ///
    /// # Safety
    /// The caller gives up a holder's part, and with it the use of `at`. If it is the last one, future and output are gone.
    #[inline]
    unsafe fn let_go(at: NonNull<Self>) {
        // SAFETY: held by the caller until the next line.
        let header = unsafe { at.as_ref() };
        let vtable = header.vtable;
        if header.holders.let_go() {
            // SAFETY: the last holder, by `let_go`; the rest by contract.
            unsafe { (vtable.free)(at) };
        }
    }
}

/// A task that is queued or running: there is one at most.
#[derive(Debug)]
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: what it runs may be sent, or stays on its scheduler's one thread, by `new`'s contract.
unsafe impl Send for Runnable {}
// SAFETY: a shared reference gives away the parent, which is `Sync`.
unsafe impl Sync for Runnable {}

impl Runnable {
    fn header(&self) -> &Header {
        // SAFETY: the task has not ended, so it holds the memory.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(super) fn parent(&self) -> NodeRef {
        self.header().parent
    }

    /// Polls the task once.
    #[inline]
    pub(super) fn run(self) {
        let run = self.header().vtable.run;
        // SAFETY: the vtable came with the cell, and this is its `Runnable`.
        unsafe { run(self.into_raw().cast()) };
    }

    fn schedule(self, yielded: bool) {
        let sched = self.parent().sched();
        sched.schedule_woken(self.into(), yielded);
    }

    #[inline]
    pub(super) fn into_raw(self) -> NonNull<()> {
        ManuallyDrop::new(self).0.cast()
    }

    /// # Safety
    /// `raw` came from [`into_raw`](Self::into_raw) and is turned back once.
    #[inline]
    pub(super) unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw.cast())
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        // As in `child.rs`.
        crate::sync::internal_error("a task was dropped before its end");
    }
}
