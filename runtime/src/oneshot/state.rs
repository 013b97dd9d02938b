//! The channel's word: who has spoken, and whom to wake.
//!
//! ```text
//!                leave                 leave, another waker
//!     Empty ──────────────▶ Awaited ─────┐
//!       │                    │  ▲────────┘
//!       │ send, give_up      │ send, give_up: the caller takes the waker out
//!       ▼                    ▼
//!     Ended (Sent or GivenUp)           all is the receiver's
//!
//!     Empty, Awaited ──close──▶ Closed  all is the sender's; the caller takes the waker out
//!     Ended ──close──▶ Closed           nobody looks again: all is the caller's
//! ```
//!
//! Each side has a last word, `send` or `give_up`, and `close` (or that it has seen `Ended`), and does not touch the channel after it, unless
//! it is the second. The first three are swaps, so one comes second and finds what the other has said.
//!
//! No wake is lost: a receiver waits only if its waker went in where there was no end; and whoever swaps the end in, has the waker in hand.

use crate::sync::atomic::{AtomicPtr, Ordering};
use std::ptr::{NonNull, null_mut, without_provenance_mut};

use super::word::{Left, WakerWord};

/// No waker is at such an address, nor any of them null: see [`WakerWord::into_raw`].
const SENT: *mut () = without_provenance_mut(2);
const GIVEN_UP: *mut () = without_provenance_mut(4);
const CLOSED: *mut () = without_provenance_mut(6);

/// Invariant: null, one of the above, or a [`WakerWord`] that the word owns.
#[derive(Debug)]
pub(super) struct State(AtomicPtr<()>);

/// The sender's last word. Value and memory are the receiver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The value is there.
    Sent,
    /// There is none.
    GivenUp,
}

/// What the receiver finds, with `W` for the waker that it left.
#[must_use]
#[derive(Debug)]
pub(super) enum Found<W> {
    Empty,
    Awaited(W),
    Ended(Ended),
}

/// What the sender's last word leaves to do.
#[must_use]
#[derive(Debug)]
pub(super) enum AfterEnd {
    /// Value and memory are the receiver's.
    Leave,
    /// As `Leave`, and it waits.
    Wake(WakerWord),
    /// It has gone: value and memory are the caller's.
    Alone,
}

impl State {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    // ---- the receiver --------------------------------------------------------------------------------------

    #[inline]
    pub(super) fn seen(&self) -> Found<Left> {
        // Acquire: pairs with Release in `end`: the value is there, and the sender has gone.
        found(self.0.load(Ordering::Acquire), Left::at)
    }

    /// The receiver waits, by another waker than before if it has left one; that is dropped.
    #[inline]
    pub(super) fn leave(&self, before: Option<Left>, waker: WakerWord) -> Result<(), Ended> {
        let old = before.map_or(null_mut(), Left::address);
        let new = waker.into_raw().as_ptr();
        // Release: pairs with Acquire in `end`: the waker is whole. Acquire: as in `seen`.
        let result = self.0.compare_exchange(old, new, Ordering::Release, Ordering::Acquire);
        // The one that is not there now, if any, is dropped.
        let (result, out) = match result {
            Ok(_) => (Ok(()), old),
            // It was not changed but by the sender: nobody else leaves wakers, or takes them out.
            Err(now) => (Err(if now == SENT { Ended::Sent } else { Ended::GivenUp }), new),
        };
        // SAFETY: taken out, or never put in.
        drop(NonNull::new(out).map(|out| unsafe { WakerWord::from_raw(out) }));
        result
    }

    /// The receiver's last word.
    pub(super) fn close(&self) -> Found<WakerWord> {
        // Acquire: as in `seen`. Release: pairs with Acquire in `end`: the receiver's touches come before the memory goes.
        found(self.0.swap(CLOSED, Ordering::AcqRel), |raw| {
            // SAFETY: the word's, and taken out.
            unsafe { WakerWord::from_raw(raw) }
        })
    }

    // ---- the sender ----------------------------------------------------------------------------------------

    pub(super) fn is_closed(&self) -> bool {
        // Relaxed: nothing is read by it.
        self.0.load(Ordering::Relaxed) == CLOSED
    }

    /// The value has been written.
    #[inline]
    pub(super) fn send(&self) -> AfterEnd {
        self.end(SENT)
    }

    /// There will be none.
    pub(super) fn give_up(&self) -> AfterEnd {
        self.end(GIVEN_UP)
    }

    #[inline]
    fn end(&self, last_word: *mut ()) -> AfterEnd {
        // Release: pairs with Acquire in `seen` and the like: the value is written. Acquire: pairs with Release in `leave`, for the waker,
        // and in `close`.
        let before = self.0.swap(last_word, Ordering::AcqRel);
        match NonNull::new(before) {
            None => AfterEnd::Leave,
            Some(_) if before == CLOSED => AfterEnd::Alone,
            // SAFETY: the word's, and taken out; for there is one last word of the sender's.
            Some(waker) => AfterEnd::Wake(unsafe { WakerWord::from_raw(waker) }),
        }
    }

    /// The channel goes. loom's atomic pointers do not take note of that by themselves.
    #[cfg(loom)]
    pub(super) fn ends(&mut self) {
        self.0.ends();
    }
}

/// What the receiver finds in the word.
#[inline]
fn found<W>(word: *mut (), waker: impl FnOnce(NonNull<()>) -> W) -> Found<W> {
    match NonNull::new(word) {
        None => Found::Empty,
        Some(_) if word == SENT => Found::Ended(Ended::Sent),
        Some(_) if word == GIVEN_UP => Found::Ended(Ended::GivenUp),
        Some(raw) => Found::Awaited(waker(raw)),
    }
}
