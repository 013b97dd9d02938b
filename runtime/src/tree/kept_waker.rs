//! An `Option<Waker>` that costs nothing to make.
//!
//! `Option`'s `None` leaves half of itself unwritten, and compilers copy it with what happens to lie there: two stores of 8
//! bytes, then a load of 16 across both, which the processor's store buffer cannot forward. Every child is made with one of
//! these, a scope with two, and most never fill them; that stall was a tenth of a spawn. Here every byte of nothing is a zero.

use std::mem::ManuallyDrop;
use std::task::{RawWakerVTable, Waker};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct KeptWaker {
    data: *const (),
    /// `Some`: with `data`, the parts of a waker that this owns.
    vtable: Option<&'static RawWakerVTable>,
}

impl KeptWaker {
    pub(super) const fn none() -> Self {
        Self { data: std::ptr::null(), vtable: None }
    }

    pub(super) fn some(waker: Waker) -> Self {
        let waker = ManuallyDrop::new(waker);
        Self { data: waker.data(), vtable: Some(waker.vtable()) }
    }

    pub(super) fn is_some(&self) -> bool {
        self.vtable.is_some()
    }

    pub(super) fn take(&mut self) -> Option<Waker> {
        let vtable = self.vtable.take()?;
        // SAFETY: the parts of the waker that this owned, and, having forgotten them, owns no more.
        Some(unsafe { Waker::new(self.data, vtable) })
    }

    pub(super) fn wake_by_ref(&self) {
        if let Some(vtable) = self.vtable {
            // SAFETY: the parts of the waker that this owns; `ManuallyDrop` leaves it to own them.
            let waker = ManuallyDrop::new(unsafe { Waker::new(self.data, vtable) });
            waker.wake_by_ref();
        }
    }
}

impl Drop for KeptWaker {
    #[inline]
    fn drop(&mut self) {
        if self.is_some() {
            drop(self.take());
        }
    }
}

// SAFETY: a waker, which is `Send + Sync`, in its parts.
unsafe impl Send for KeptWaker {}
// SAFETY: as above.
unsafe impl Sync for KeptWaker {}
