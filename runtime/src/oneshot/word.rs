//! A waker in one word.
//!
//! A waker is two words: what it is about, and a table of how. The table of this crate's own tasks is always the same, so the first word
//! does for them. Anybody else's waker is put into a box.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::Waker;

use crate::task::cell;

/// Set in the address of a box.
const BOXED: usize = 1;
/// The lowest bits of a task's address, which are zero, with [`BOXED`] among them.
const LOW: usize = 7;

const _: () = assert!(align_of::<Waker>() > BOXED && cell::TASK_ALIGN > LOW);

/// A waker. Invariant: the address of a task, of whose wakers this is one; or, marked as [`BOXED`], of a box that this owns.
#[derive(Debug)]
pub(super) struct WakerWord(NonNull<()>);

// SAFETY: a waker, which is `Send + Sync`.
unsafe impl Send for WakerWord {}
// SAFETY: as above.
unsafe impl Sync for WakerWord {}

impl WakerWord {
    /// Another waker for whatever `waker` wakes.
    #[inline]
    pub(super) fn new(waker: &Waker) -> Self {
        let waker = waker.clone();
        match NonNull::new(waker.data().cast_mut()) {
            Some(task) if cell::is_tasks(&waker) => {
                // It goes on in the word.
                std::mem::forget(waker);
                Self(task)
            }
            _ => Self::boxed(waker),
        }
    }

    #[cold]
    fn boxed(waker: Waker) -> Self {
        let at = NonNull::from(Box::leak(Box::new(waker)));
        Self(at.cast().map_addr(|address| address | BOXED))
    }

    #[inline]
    pub(super) fn into_waker(self) -> Waker {
        let at = self.into_raw();
        if at.addr().get() & BOXED == 0 {
            // SAFETY: a task's, by the invariant; the word was a holder, and its waker is one now.
            return unsafe { cell::waker_of(at) };
        }
        Self::unboxed(at)
    }

    #[cold]
    fn unboxed(at: NonNull<()>) -> Waker {
        let waker = at.as_ptr().map_addr(|address| address & !BOXED).cast::<Waker>();
        // SAFETY: from `boxed`, by the mark, and taken out of the word that owned it.
        *unsafe { Box::from_raw(waker) }
    }

    /// The word. Neither null nor an even number up to [`LOW`].
    #[inline]
    pub(super) fn into_raw(self) -> NonNull<()> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// `raw` came from [`into_raw`](Self::into_raw), and is turned back once.
    #[inline]
    pub(super) unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw)
    }
}

impl Drop for WakerWord {
    fn drop(&mut self) {
        // SAFETY: `self` goes away.
        drop(unsafe { Self::from_raw(self.0) }.into_waker());
    }
}

/// Where a receiver has left a [`WakerWord`]. It may have been taken out since: no more than an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left(NonNull<()>);

impl Left {
    pub(super) fn at(raw: NonNull<()>) -> Self {
        Self(raw)
    }

    pub(super) fn address(self) -> *mut () {
        self.0.as_ptr()
    }

    /// Whether it was left for the task that `waker` wakes. Of a box nothing can be told: the sender may be freeing it.
    #[inline]
    pub(super) fn is_of(self, waker: &Waker) -> bool {
        cell::wakes(waker, self.0)
    }
}
