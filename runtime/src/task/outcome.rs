//! What a task leaves for its handle.

use crate::context;
use crate::tree::failure::guard;

/// A task's value, or the fact that it ended without one (panic, cancel).
///
/// An outcome that nobody takes is dropped where no panic may leave: inside a task's run, which aborts, or in the
/// drop of a handle. So a value whose drop panics fails the scope it was spawned in instead. Which that is, the
/// [context](context::charged) knows: to carry it here would make of a small value one that is no longer returned in
/// registers, on every task's way out.
pub(crate) struct Outcome<T>(Option<T>);

impl<T> Outcome<T> {
    pub(crate) fn new(value: Option<T>) -> Self {
        Self(value)
    }

    pub(crate) fn take(mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T> Drop for Outcome<T> {
    #[inline]
    fn drop(&mut self) {
        if std::mem::needs_drop::<T>()
            && let Some(value) = self.0.take()
            && let Err(payload) = guard(|| drop(value))
        {
            context::charged().fail(payload, None);
        }
    }
}

/// Drops `value`; a panic fails `node`.
pub(crate) fn drop_into<T>(value: T, node: &crate::tree::node::Node) {
    if std::mem::needs_drop::<T>()
        && let Err(payload) = guard(|| drop(value))
    {
        node.fail(payload, None);
    }
}
