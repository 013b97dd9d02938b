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
//! | `parent` | whoever has the [`Runnable`]; a waker only when it turns the task from parked to queued, which makes it one of those |
//! | the memory | the last holder's: wakers, and task and handle as one holder between them |
//!
//! A waker is `'static` and may be the last of all: freeing the memory needs nothing but the allocator, for by then future and output
//! have been dropped or taken. (An output whose handle was leaked is leaked with it.)

use std::future::Future;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker, ready};

use super::memory;
use super::state::{AfterEnd, AfterPause, AfterWake, JoinState, Seen, WakeState};
use crate::sync::UnsafeCell;
use crate::tree::kept_waker::KeptWaker;
use crate::tree::node::NodeRef;

/// What a waker or a queue knows of a scope's task.
struct Header {
    wakes: WakeState,
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
        join: JoinState::new(),
        vtable: &Cell::<F>::VTABLE,
        parent,
        waker: UnsafeCell::new(KeptWaker::none()),
    };
    // SAFETY: valid for writes and aligned, being a field's place.
    unsafe { front.write(Front { header, output: UnsafeCell::new(MaybeUninit::uninit()) }) };
    // SAFETY: as above.
    unsafe { future.write(UnsafeCell::new(ManuallyDrop::new(make(TaskRef(cell.cast()))))) };
    (Runnable(cell.cast()), Slot(cell.cast()))
}

impl<F: Future> Cell<F> {
    const VTABLE: VTable = VTable { run: Self::run, free: Self::free };

    /// # Safety
    /// As for [`VTable::run`].
    unsafe fn run(at: NonNull<Header>) {
        // SAFETY: the task has not ended, so it holds the memory until `pause` or `end` below.
        let header = unsafe { at.as_ref() };
        header.wakes.begin();
        // SAFETY: the vtable's contract is kept: the data is a header's address, held while the task has not ended. Not dropped, for
        // it is no holder of its own.
        let waker = ManuallyDrop::new(unsafe { Waker::new(at.as_ptr().cast(), &WAKER) });
        // SAFETY: by contract, a cell of this type; its address is that of the header, its first field's first.
        let future = unsafe { &(*at.as_ptr().cast::<Self>()).future };
        let polled = future.with_mut(|future| {
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
                future.with_mut(|future| {
                    // SAFETY: the runner's.
                    let future = unsafe { &mut *future };
                    // SAFETY: once: the task has ended, and is not polled again.
                    unsafe { ManuallyDrop::drop(future) };
                });
                // SAFETY: as `future`'s.
                let front = unsafe { &(*at.as_ptr().cast::<Self>()).front };
                front.output.with_mut(|place| {
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
        let after = match this.header.join.end() {
            // SAFETY: the task's until `told`.
            AfterEnd::TakeWaker => unsafe { Header::tell(at.cast()) },
            AfterEnd::WakeParent => {
                // The cell may be gone, but not the parent, which is yet to be told of this end.
                if let Some(task) = parent.task() {
                    // SAFETY: its scope waits for the child that ends here.
                    unsafe { task.wake() };
                }
                AfterEnd::Leave
            }
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
        if header.wakes.let_go() {
            // SAFETY: the last holder, by `let_go`; the rest by contract.
            unsafe { (vtable.free)(at) };
        }
    }
}

// ---- the queue's side ----------------------------------------------------------------------------------------------

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

// ---- the handle's side ---------------------------------------------------------------------------------------------

/// The output of a scope's task, or the place for it. Ends in a [`poll`](Self::poll) that is ready, or in
/// [`let_go`](Self::let_go); what is merely dropped is leaked.
#[derive(Debug)]
pub(crate) struct Slot<T>(NonNull<Front<T>>);

// SAFETY: what it gives away is the output.
unsafe impl<T: Send> Send for Slot<T> {}
// SAFETY: a shared reference gives away whether there is an output, and nothing of it.
unsafe impl<T> Sync for Slot<T> {}

impl<T> Slot<T> {
    fn front(&self) -> &Front<T> {
        // SAFETY: held by task and handle together, of which this is the second.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn parent(&self) -> NodeRef {
        self.front().header.parent
    }

    pub(super) fn is_finished(&self) -> bool {
        self.front().header.join.seen() == Seen::Ended
    }

    /// Waits for the task's end and takes the output.
    ///
    /// # Safety
    /// Once it is ready the slot is used up: nothing more is asked of it.
    #[inline]
    pub(super) unsafe fn poll(&mut self, cx: &Context<'_>) -> Poll<T> {
        ready!(self.poll_ended(cx.waker()));
        // SAFETY: the task has ended, and nothing more is asked, by contract.
        Poll::Ready(unsafe { self.take() })
    }

    #[inline]
    fn poll_ended(&self, waker: &Waker) -> Poll<()> {
        match self.front().header.join.seen() {
            Seen::Ended => Poll::Ready(()),
            Seen::Live if self.is_parents(waker) => {
                if self.front().header.join.leave_to_parent() {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            }
            Seen::Live => self.leave(waker),
            Seen::Parent if self.is_parents(waker) => Poll::Pending,
            seen => self.poll_again(waker, seen),
        }
    }

    /// Whether it is the waker of the scope above's own task.
    #[inline]
    fn is_parents(&self, waker: &Waker) -> bool {
        self.front().header.parent.task().is_some_and(|task| task.is_woken_by(waker))
    }

    /// Leaves the waker in its place, which is the handle's.
    #[inline]
    fn leave(&self, waker: &Waker) -> Poll<()> {
        let header = &self.front().header;
        let is_there = header.waker.with_mut(|place| {
            // SAFETY: the handle's: it has seen `Live`, or has taken the waker back.
            unsafe { &*place }.will_wake(waker)
        });
        if !is_there {
            // Out of the place before user code runs: should the clone panic, none is left there. It is dropped last.
            let _old = self.take_waker();
            let new = KeptWaker::some(waker.clone());
            header.waker.with_mut(|place| {
                // SAFETY: as above.
                unsafe { *place = new };
            });
            return self.say_left();
        }
        self.say_left()
    }

    fn say_left(&self) -> Poll<()> {
        if self.front().header.join.leave_waker() {
            return Poll::Pending;
        }
        drop(self.take_waker());
        Poll::Ready(())
    }

    /// A waker has been left before.
    #[cold]
    fn poll_again(&self, waker: &Waker, seen: Seen) -> Poll<()> {
        let join = &self.front().header.join;
        let is_live =
            if seen == Seen::Parent { join.take_back_from_parent() } else { join.take_waker_back() };
        if is_live { self.leave(waker) } else { Poll::Ready(()) }
    }

    /// Takes out what waker there is. The caller has the place: it has seen `Live`, or has taken the waker back, or was refused when it
    /// left one.
    fn take_waker(&self) -> Option<Waker> {
        self.front().header.waker.with_mut(|place| {
            // SAFETY: the caller's, as it says above.
            unsafe { &mut *place }.take()
        })
    }

    /// Takes the output and lets the memory go.
    ///
    /// # Safety
    /// The task has ended, and the slot is not used again.
    #[inline]
    unsafe fn take(&mut self) -> T {
        let output = self.front().output.with(|output| {
            // SAFETY: the handle's, as the task has ended.
            let output = unsafe { &*output };
            // SAFETY: written by then, and read once.
            unsafe { output.assume_init_read() }
        });
        if self.front().header.join.taken() {
            // SAFETY: task and handle are one holder, and both have done with it; the output has been taken.
            unsafe { Header::let_go(self.0.cast()) };
        }
        output
    }

    /// Leaves the output to be dropped, or drops it if it is there. That does not unwind, but the drop of a user's waker may, which
    /// comes last.
    pub(super) fn let_go(self) {
        let join = &self.front().header.join;
        let mut waker = None;
        if join.seen() == Seen::Awaited && join.take_waker_back() {
            waker = self.take_waker();
        }
        if join.let_go() {
            // SAFETY: written, as the task has ended, and the handle's.
            unsafe { Front::drop_output(self.0) };
            // SAFETY: as in `take`.
            unsafe { Header::let_go(self.0.cast()) };
        }
        drop(waker);
    }
}

// ---- the tree's side -----------------------------------------------------------------------------------------------

/// A scope's task, as its node knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: an address, which is used, by `wake`'s contract, only while the task holds its memory; what is done there is for any thread.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// Whether `waker` is this task's own.
    #[inline]
    fn is_woken_by(self, waker: &Waker) -> bool {
        waker.data() == self.0.as_ptr().cast_const().cast() && std::ptr::eq(waker.vtable(), &WAKER)
    }

    /// Wakes the task.
    ///
    /// # Safety
    /// It does not end before this returns.
    #[inline]
    unsafe fn wake(self) {
        // SAFETY: held by the task, which has not ended.
        unsafe { wake_by_ref(self.0.as_ptr().cast_const().cast()) };
    }
}

// ---- the wakers' side ----------------------------------------------------------------------------------------------

/// A waker's data is a header's address, and the waker a holder of its memory, or lent by one.
static WAKER: RawWakerVTable = RawWakerVTable::new(clone_waker, wake, wake_by_ref, drop_waker);

/// # Safety
/// `data` is a waker's, as it says at [`WAKER`], and so for the other three.
unsafe fn header_of<'a>(data: *const ()) -> &'a Header {
    // SAFETY: held by the waker, or whoever lends it, for as long as the caller uses it.
    unsafe { &*data.cast() }
}

fn address_of(data: *const ()) -> NonNull<Header> {
    match NonNull::new(data.cast_mut()) {
        Some(at) => at.cast(),
        None => unreachable!("a waker's data is an address"),
    }
}

unsafe fn clone_waker(data: *const ()) -> RawWaker {
    // SAFETY: by contract.
    unsafe { header_of(data) }.wakes.hold();
    RawWaker::new(data, &WAKER)
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: by contract.
    match unsafe { header_of(data) }.wakes.wake() {
        AfterWake::Leave => {}
        // The only one: the task was parked, and whoever takes it from there is told so alone.
        AfterWake::Queue => Runnable(address_of(data)).schedule(false),
    }
}

unsafe fn wake(data: *const ()) {
    // SAFETY: by contract.
    unsafe { wake_by_ref(data) };
    // SAFETY: by contract.
    unsafe { drop_waker(data) };
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the waker is a holder. If it is the last one, task and handle have let go, and with them future and output.
    unsafe { Header::let_go(address_of(data)) };
}
