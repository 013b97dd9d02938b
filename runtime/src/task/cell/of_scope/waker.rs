//! Waking a scope's task: by its wakers, and by the end of a scope below that it awaits.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::super::state::AfterWake;
use super::{Header, Runnable};

/// A scope's task, as its node knows it.
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
        waker.data() == self.0.as_ptr().cast_const().cast() && std::ptr::eq(waker.vtable(), &WAKER)
    }

    /// Wakes the task.
    ///
    /// # Safety
    /// It does not end before this returns.
    #[inline]
    pub(super) unsafe fn wake(self) {
        // SAFETY: held by the task, which has not ended.
        unsafe { wake_by_ref(self.0.as_ptr().cast_const().cast()) };
    }
}

/// The task's waker, for a poll; no holder of its own, and so not dropped.
///
/// # Safety
/// Somebody holds the memory for as long as the result is used.
#[inline]
pub(super) unsafe fn lent(at: NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY: the table's functions keep the contract of wakers, and the data is what they ask for.
    ManuallyDrop::new(unsafe { Waker::new(at.as_ptr().cast(), &WAKER) })
}

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
