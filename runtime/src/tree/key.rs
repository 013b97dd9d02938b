//! Scoped values: laid down when a scope is opened, looked up by whatever runs below it.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
// Not through `crate::sync`: it orders nothing, and loom's cannot be made in a `const`.
use std::sync::atomic::AtomicU8;

use super::failure::guard;
use super::node::Node;
use crate::context;

/// A key for values that come with a scope instead of a parameter: a request id, a tenant, a trace span.
///
/// A scope lays a value down with [`ScopeBuilder::with`](crate::ScopeBuilder::with). What runs in the scope sees it, and
/// if the key is [inherited](ScopedKey::inherited), so does what runs in scopes below, until one of them lays down
/// another, which shadows it.
///
/// A look-up walks up the tree; it costs a step per scope.
///
/// ```
/// use treescope::ScopedKey;
///
/// static REQUEST: ScopedKey<u32> = ScopedKey::inherited();
///
/// let seen = treescope::block_on(async |scope| {
///     let request = scope.open().with(&REQUEST, 17).scope(async |scope| {
///         scope.spawn(async { REQUEST.get() }).await
///     });
///     request.await
/// });
/// assert_eq!(seen, Some(17));
/// assert_eq!(REQUEST.get(), None);
/// ```
pub struct ScopedKey<T> {
    inherited: bool,
    /// A key is told from others by its address, so it must have one of its own. An atomic, which nobody touches: a `const` with one is
    /// not promoted to a `'static`, and so cannot be used as a key. Two such constants may share an address.
    _address: AtomicU8,
    _value: PhantomData<fn() -> T>,
}

impl<T: Send + Sync + 'static> ScopedKey<T> {
    /// A key whose value holds in the scope that lays it down and in all scopes below.
    pub const fn inherited() -> Self {
        Self { inherited: true, _address: AtomicU8::new(0), _value: PhantomData }
    }

    /// A key whose value holds in the scope that lays it down: for its body and the children spawned in it, but not in
    /// scopes opened below.
    pub const fn local() -> Self {
        Self { inherited: false, _address: AtomicU8::new(0), _value: PhantomData }
    }

    /// Whether scopes below see the value.
    pub const fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// Lends the value in force for the current task to `f`; `None` if there is none, or outside a runtime.
    pub fn with<R>(&'static self, f: impl FnOnce(Option<&T>) -> R) -> R {
        match context::current_node() {
            None => f(None),
            Some(node) => f(self.find(&node)),
        }
    }

    /// A clone of the value in force for the current task.
    pub fn get(&'static self) -> Option<T>
    where
        T: Clone,
    {
        self.with(|value| value.cloned())
    }

    fn find<'a>(&'static self, node: &'a Node) -> Option<&'a T> {
        let mut at = node;
        loop {
            let bindings = at.bindings();
            if let Some(binding) = bindings.iter().rev().find(|binding| binding.key == self.address()) {
                return binding.value.as_ref()?.downcast_ref();
            }
            if !self.inherited {
                return None;
            }
            at = at.parent()?;
        }
    }

    pub(crate) fn bind(&'static self, value: T) -> Binding {
        Binding { key: self.address(), value: Some(Box::new(value)) }
    }

    fn address(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<T> fmt::Debug for ScopedKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedKey").field("inherited", &self.inherited).finish_non_exhaustive()
    }
}

/// A value laid down for a key.
pub(crate) struct Binding {
    key: usize,
    /// `None` once dropped.
    value: Option<Box<dyn Any + Send + Sync>>,
}

/// A binding goes away with its scope's task, whose run aborts if that panics; so it fails the scope above instead.
impl Drop for Binding {
    fn drop(&mut self) {
        let value = self.value.take();
        match context::ended_below() {
            // Of a builder that opened no scope: an ordinary panic in ordinary code.
            None => drop(value),
            Some(parent) => {
                if let Err(payload) = guard(|| drop(value)) {
                    parent.fail(payload, None);
                }
            }
        }
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").finish_non_exhaustive()
    }
}
