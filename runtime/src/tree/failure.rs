//! Panics on their way up the tree.
//!
//! Every place that runs user code inside the tree runs it through [`guard`], so that no panic unwinds
//! through a node that others still use. A payload is itself user data: dropping one may panic again, so a
//! payload that loses (the second failure of a scope) goes through [`discard`].

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// What awaiting the handle of a child that ended without a value unwinds with: the scope is being cancelled,
/// and this says so without a message of its own on stderr.
#[derive(Debug)]
pub(crate) struct Cancelled;

/// Runs user code; a panic becomes a value.
///
/// `AssertUnwindSafe`: what a panic leaves half-done is the user's own state, which is either dropped with the
/// scope that fails, or borrowed from outside it, where the user sees the panic when the root resumes it.
#[inline]
pub(crate) fn guard<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Unwinds with [`Cancelled`], without running the panic hook.
pub(crate) fn unwind_cancelled() -> ! {
    resume_unwind(Box::new(Cancelled))
}

/// Drops a payload that nobody will see. One whose own drop panics is leaked from there on: the first panic is
/// the one that matters, and unwinding out of the runtime is no option.
pub(crate) fn discard(payload: Payload) {
    if let Err(second) = guard(|| drop(payload)) {
        std::mem::forget(second);
    }
}
