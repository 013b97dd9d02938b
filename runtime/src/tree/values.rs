//! The values that a node owns and its descendants borrow ([`Scope::alloc`](crate::Scope::alloc)).
//!
//! Each value is a box of its own: its address must hold while the list grows, and alignment and zero size
//! are the box's business. A value's type outlives the node's *outer* lifetime, so no value can point at
//! another of the same node, and the order of their drops cannot dangle; they are dropped newest first, as
//! locals are.

use std::marker::PhantomData;
use std::ptr::NonNull;

/// One boxed value with its type erased.
struct Value {
    /// From `Box::into_raw`, owned here. The only `&mut` to it is the one that `alloc` gave out.
    ptr: NonNull<()>,
    /// Reboxes `ptr` at its own type and drops it.
    drop: unsafe fn(NonNull<()>),
}

/// A node's values, oldest first. Dropping the list without [`Values::pop`] leaks what is left.
#[derive(Default)]
pub(crate) struct Values {
    list: Vec<Value>,
    _owns: PhantomData<Box<dyn std::any::Any + Send>>,
}

// SAFETY: every value was `Send` when `push` took it.
unsafe impl Send for Values {}

/// A value taken off its node. Drops it when dropped.
pub(crate) struct Taken(Value);

impl Drop for Taken {
    fn drop(&mut self) {
        // SAFETY: `Values::push` paired this function with this pointer, and `pop` gave it to us alone. That
        // nobody borrows the value any more is `Values::pop`'s contract.
        unsafe { (self.0.drop)(self.0.ptr) }
    }
}

impl Values {
    /// Takes a value in. The pointer is good for reads and writes until the value is popped.
    pub(crate) fn push<S: Send>(&mut self, value: S) -> NonNull<S> {
        /// # Safety
        /// `ptr` came from `Box::<S>::into_raw`, is unborrowed, and is not used again.
        unsafe fn drop_box<S>(ptr: NonNull<()>) {
            // SAFETY: by contract.
            drop(unsafe { Box::from_raw(ptr.cast::<S>().as_ptr()) });
        }
        // Room first: if growing the list panics, the value is still the caller's to drop.
        self.list.reserve(1);
        let ptr = NonNull::from(Box::leak(Box::new(value)));
        self.list.push(Value { ptr: ptr.cast(), drop: drop_box::<S> });
        ptr
    }

    /// Takes the newest value off.
    ///
    /// # Safety
    /// Nothing borrows from the value any more: the node's body and all its descendants have been dropped.
    pub(crate) unsafe fn pop(&mut self) -> Option<Taken> {
        self.list.pop().map(Taken)
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values").field("len", &self.list.len()).finish()
    }
}
