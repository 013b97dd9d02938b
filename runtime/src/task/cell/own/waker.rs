//! Waking a task: by its wakers, and a scope's by the end of a task below that it awaits.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::super::state::AfterWake;
use super::{Header, Runnable};

/// A task, as its node knows it, if it is a scope's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: an address, which is used, by `wake`'s contract, only while the task holds its memory; what is done there is for any thread.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    pub(super) fn new(at: NonNull<Header>) -> Self {
        Self(at)
    }

    /// Whether `waker` is this task's own.
    #[inline]
    pub(super) fn is_woken_by(self, waker: &Waker) -> bool {
        wakes(waker, self.0.cast())
    }

    /// The task's waker, as [`lent`] gives it.
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub(crate) unsafe fn lent_waker(self) -> ManuallyDrop<Waker> {
        // SAFETY: by contract.
        unsafe { lent(self.0) }
    }

    /// Wakes the task.
    ///
    /// # Safety
    /// Somebody holds the memory until this returns: a waker, or the task, which then does not end before.
    #[inline]
    pub(crate) unsafe fn wake(self) {
        // SAFETY: held, by contract.
        match unsafe { self.0.as_ref() }.wakes.wake() {
            AfterWake::Leave => {}
            // The only one: the task was parked, and whoever takes it from there is told so alone.
            AfterWake::Queue => Runnable(self.0).schedule(false),
        }
    }
}

/// The task's waker, for a poll; no holder of its own, and so not dropped.
///
/// # Safety
/// Somebody holds the memory for as long as the result is used.
#[inline]
pub(super) unsafe fn lent(at: NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY: held by somebody else, and not dropped.
    ManuallyDrop::new(unsafe { waker_of(at.cast()) })
}

/// Whether `waker` is that of some task in a cell of this kind. Such a task holds itself until its end: while it has yet to come, its
/// waker may be lent.
#[inline]
pub(crate) fn is_tasks(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable(), &WAKER)
}

/// Whether `waker` is that of the task at `task`, of which this asks no more than the address.
#[inline]
pub(crate) fn wakes(waker: &Waker, task: NonNull<()>) -> bool {
    waker.data() == task.as_ptr().cast_const() && is_tasks(waker)
}

/// The alignment of what a waker's data points to, if it is [a task's](is_tasks).
pub(crate) const TASK_ALIGN: usize = align_of::<Header>();

/// The waker of the task at `task`.
///
/// # Safety
/// That is a header's address, the data of a waker [of a task](is_tasks) say. The result is a holder of its memory from here on, as a
/// waker was that has been forgotten; or somebody else holds that for as long as the result is used, and it is not dropped.
#[inline]
pub(crate) unsafe fn waker_of(task: NonNull<()>) -> Waker {
    // SAFETY: the table's functions keep the contract of wakers, and the data is what they ask for.
    unsafe { Waker::new(task.as_ptr(), &WAKER) }
}

/// A waker's data is a header's address, and the waker a holder of its memory, or lent by one.
static WAKER: RawWakerVTable = RawWakerVTable::new(clone_waker, wake, wake_by_ref, drop_waker);

/// # Safety
/// `data` is a waker's, as it says at [`WAKER`], and so for the other four.
#[inline]
unsafe fn task_of(data: *const ()) -> TaskRef {
    // SAFETY: an address, by contract, and so not null.
    TaskRef(unsafe { NonNull::new_unchecked(data.cast_mut().cast()) })
}

unsafe fn clone_waker(data: *const ()) -> RawWaker {
    // SAFETY: by contract.
    let task = unsafe { task_of(data) };
    // SAFETY: held by the waker, or whoever lends it.
    unsafe { task.0.as_ref() }.holders.hold();
    RawWaker::new(data, &WAKER)
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: by contract.
    let task = unsafe { task_of(data) };
    // SAFETY: the memory is held by the waker, or whoever lends it.
    unsafe { task.wake() };
}

unsafe fn wake(data: *const ()) {
    // SAFETY: by contract.
    unsafe { wake_by_ref(data) };
    // SAFETY: by contract.
    unsafe { drop_waker(data) };
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: by contract.
    let task = unsafe { task_of(data) };
    // SAFETY: the waker is a holder. If it is the last one, task and handle have let go, and with them future and output.
    unsafe { Header::let_go(task.0) };
}
