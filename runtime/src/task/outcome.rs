//! What a task leaves for its handle.

use crate::tree::failure::guard;
use crate::tree::node::NodeRef;

/// A task's value, or the fact that it ended without one (panic, cancel).
///
/// An outcome that nobody takes is dropped where no panic may leave: inside async-task, which aborts, or in the
/// drop of a handle. So a value whose drop panics fails the scope it was spawned in instead.
///
/// Invariant of `parent`: the parent counts this task until the outcome is stored or dropped; once stored, it lies
/// behind a `JoinHandle<'scope, _>`, whose holders the parent waits for as well.
pub(crate) struct Outcome<T> {
    value: Option<T>,
    parent: NodeRef,
}

impl<T> Outcome<T> {
    pub(crate) fn new(value: Option<T>, parent: NodeRef) -> Self {
        Self { value, parent }
    }

    pub(crate) fn take(mut self) -> Option<T> {
        self.value.take()
    }
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            if !std::mem::needs_drop::<T>() {
                return;
            }
            if let Err(payload) = guard(|| drop(value)) {
                self.parent.fail(payload, None);
            }
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
