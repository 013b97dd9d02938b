//! A scope's task, in a cell of our own.
//!
//! # Why not async-task's
//!
//! Scopes are what a tree is made of, most of them live for two polls at most, and their handles are awaited by the scope above.
//! async-task's word tells of task, handle, wakers and queue at once, so each of them takes part in each change: a scope that ends in
//! its first poll is five read-modify-writes there and one here, and those were half the time of a tree of small scopes. What it
//! measures, and why children that are plain futures stay async-task's, is in `sched/README.md`.
//!
//! # Who touches what
//!
//! | what | whose |
//! |---|---|
//! | `future` | whoever runs the task: the worker that took its [`Runnable`] from a queue |
//! | `output` | the runner's until [`JoinState::end`] or `told` say whose it is then |
//! | `waker` | the handle's or the runner's, as [`JoinState`] says |
//! | `parent` | never changed. Whoever has the [`Runnable`] uses it; a waker only when it turns the task from parked to queued, which makes it one of those; and the handle, which does not outlive it |
//! | the memory | the last holder's: wakers, and task and handle as one holder between them |
//!
//! This file has the cell and who runs it, [`slot`] the handle's side, [`waker`] the wakers'.
//!
//! A waker is `'static` and may be the last of all: freeing the memory needs nothing but the allocator, for by then future and output
//! have been dropped or taken. (An output whose handle was leaked is leaked with it.)

mod slot;
mod waker;

use std::future::Future;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::memory;
use super::state::{AfterEnd, AfterPause, End, Holders, JoinState, WakeState};
use crate::sync::UnsafeCell;
use crate::tree::kept_waker::KeptWaker;
use crate::tree::node::NodeRef;
pub(crate) use slot::Slot;
pub(crate) use waker::TaskRef;

/// What a waker or a queue knows of a scope's task.
struct Header {
    wakes: WakeState,
    holders: Holders,
    join: JoinState,
    vtable: &'static VTable,
    /// Counts the task until it has been run to its end.
    parent: NodeRef,
    /// The waker that the handle leaves.
    waker: UnsafeCell<KeptWaker>,
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
}

/// What the handle knows of a cell: where the output lies hangs on its type alone.
#[repr(C)]
struct Front<T> {
    header: Header,
    output: UnsafeCell<MaybeUninit<T>>,
}

#[repr(C)]
struct Cell<F: Future> {
    front: Front<F::Output>,
    future: UnsafeCell<ManuallyDrop<F>>,
}

/// Makes a scope's task of the future that `make` gives; the caller queues it. `make` does not panic.
///
/// # Safety
/// As for a child's task ([`super::new_child`]).
#[inline]
pub(super) unsafe fn new<F: Future>(
    parent: NodeRef,
    make: impl FnOnce(TaskRef) -> F,
) -> (Runnable, Slot<F::Output>) {
    let cell = memory::allocate::<Cell<F>>();
    let at = cell.as_ptr();
    // Field by field: see `super::new_child`.
    // SAFETY: inside the allocation.
    let front = unsafe { &raw mut (*at).front };
    // SAFETY: as above.
    let future = unsafe { &raw mut (*at).future };
    let header = Header {
        wakes: WakeState::new(),
        holders: Holders::new(),
        join: JoinState::new(),
        vtable: &Cell::<F>::VTABLE,
        parent,
        waker: UnsafeCell::new(KeptWaker::none()),
    };
    // SAFETY: valid for writes and aligned, being a field's place.
    unsafe { front.write(Front { header, output: UnsafeCell::new(MaybeUninit::uninit()) }) };
    // SAFETY: as above.
    unsafe { future.write(UnsafeCell::new(ManuallyDrop::new(make(TaskRef::new(cell.cast()))))) };
    (Runnable(cell.cast()), Slot::new(cell.cast()))
}

impl<F: Future> Cell<F> {
    const VTABLE: VTable = VTable { run: Self::run, free: Self::free };

    /// # Safety
    /// As for [`VTable::run`].
    unsafe fn run(at: NonNull<Header>) {
        // SAFETY: by contract, a cell of this type; the task has not ended, so it holds the memory until `pause` or `end` below.
        let cell = unsafe { at.cast::<Self>().as_ref() };
        cell.front.header.wakes.begin();
        // SAFETY: the task holds the memory while it has not ended, and the waker goes no further than the poll.
        let waker = unsafe { waker::lent(at) };
        let polled = cell.future.with_mut(|future| {
            // SAFETY: it is the runner's, and has not been dropped, as the task has not ended.
            let future: &mut F = unsafe { &mut *future };
            // SAFETY: it never leaves its place, where it is dropped below.
            unsafe { Pin::new_unchecked(future) }.poll(&mut Context::from_waker(&waker))
        });
        match polled {
            Poll::Pending => match cell.front.header.wakes.pause() {
                AfterPause::Leave => {}
                AfterPause::Queue => Runnable(at).schedule(true),
            },
            Poll::Ready(output) => {
                cell.future.with_mut(|future| {
                    // SAFETY: the runner's.
                    let future = unsafe { &mut *future };
                    // SAFETY: once: the task has ended, and is not polled again.
                    unsafe { ManuallyDrop::drop(future) };
                });
                cell.front.output.with_mut(|place| {
                    // SAFETY: the runner's until `end`.
                    unsafe { &mut *place }.write(output);
                });
                // SAFETY: the output has been written.
                unsafe { Front::<F::Output>::end(at.cast()) };
            }
        }
    }

    /// # Safety
    /// As for [`VTable::free`].
    unsafe fn free(at: NonNull<Header>) {
        let cell = at.cast::<Self>();
        // SAFETY: by contract: a cell of this type, and nobody else is left.
        let last = unsafe { cell.as_ref() };
        // For loom, which sees no memory go away: the last use of all that lies there.
        last.front.header.waker.with_mut(|_| ());
        last.front.output.with_mut(|_| ());
        last.future.with_mut(|_| ());
        // SAFETY: as above. What is dropped is the header; future and output, which are gone, do not drop themselves.
        unsafe { cell.drop_in_place() };
        // SAFETY: from `new`, and dropped.
        unsafe { memory::free(cell) };
    }
}

impl<T> Front<T> {
    /// The task has ended: leaves the output to the handle, or drops it if there is none any more.
    ///
    /// # Safety
    /// The caller runs the task, and has written its output.
    #[inline]
    unsafe fn end(at: NonNull<Self>) {
        // SAFETY: held by the task until `end` or `told` says otherwise.
        let this = unsafe { at.as_ref() };
        let parent = this.header.parent;
        let End { wakes_above, after } = this.header.join.end();
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
        // SAFETY: the caller holds the memory.
        let output = unsafe { &at.as_ref().output };
        output.with_mut(|output| {
            // SAFETY: the caller's, by contract.
            let output = unsafe { &mut *output };
            // SAFETY: written and not used again, by contract.
            unsafe { output.assume_init_drop() };
        });
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
            waker.wake();
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

/// A scope's task that is queued or running: there is one at most.
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
        // As in `scope_task.rs`.
        crate::sync::internal_error("a scope was dropped before its end");
    }
}
