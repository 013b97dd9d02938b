//! An `Option<Waker>` that costs nothing to make.
//!
//! `Option`'s `None` leaves half of itself unwritten, and compilers copy it with what happens to lie there: two stores of 8
//! bytes, then a load of 16 across both, which the processor's store buffer cannot forward. Every task is made with one of
//! these, and most never fill it; that stall was a tenth of a spawn. Here every byte of nothing is a zero.

use std::mem::ManuallyDrop;
use std::task::{RawWakerVTable, Waker};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct KeptWaker {
    data: *const (),
    /// `Some`: with `data`, the parts of a waker that this owns, or that is [lent](Self::lent) to it.
    vtable: Option<&'static RawWakerVTable>,
}

impl KeptWaker {
    pub(crate) const fn none() -> Self {
        Self { data: std::ptr::null(), vtable: None }
    }

    pub(crate) fn some(waker: Waker) -> Self {
        let waker = ManuallyDrop::new(waker);
        Self { data: waker.data(), vtable: Some(waker.vtable()) }
    }

    /// A waker that stays its owner's.
    ///
    /// # Safety
    /// What the waker refers to is there for as long as the result is used. That is not dropped, and what [`take`](Self::take) gives
    /// of it is forgotten.
    pub(crate) unsafe fn lent(waker: &Waker) -> Self {
        Self { data: waker.data(), vtable: Some(waker.vtable()) }
    }

    pub(crate) fn is_some(&self) -> bool {
        self.vtable.is_some()
    }

    pub(crate) fn take(&mut self) -> Option<Waker> {
        let vtable = self.vtable.take()?;
        // SAFETY: the parts of the waker that this owned, and, having forgotten them, owns no more; or of one that is lent, and the
        // caller forgets again.
        Some(unsafe { Waker::new(self.data, vtable) })
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
