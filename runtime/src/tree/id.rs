//! Names for scopes: unique in the process, never used again.

use std::fmt;
use std::num::NonZeroU64;

use crate::context;
use std::sync::atomic::Ordering;

/// A scope's name: unique among all scopes of the process, past ones included.
///
/// 64 bits: at a billion scopes a second they last five centuries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeId(NonZeroU64);

/// A thread's unused ids: from the first up to, but without, the second.
pub(crate) type Block = (u64, u64);

/// Ids per block: a shared counter would be touched by every scope of every worker.
const BLOCK: u64 = 1 << 12;

impl ScopeId {
    /// A new id, from the current thread's block.
    #[inline]
    pub(crate) fn next() -> Self {
        context::with_ids(|ids| {
            let (mut next, mut end) = ids.get();
            if next == end {
                (next, end) = new_block();
            }
            ids.set((next + 1, end));
            // Blocks begin at 1 and only grow.
            Self(NonZeroU64::new(next).unwrap_or(NonZeroU64::MAX))
        })
    }

    /// The id as a number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

#[cold]
fn new_block() -> Block {
    // A plain static: loom's atomics cannot be one, and no model is about names.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    // Relaxed: the numbers alone matter.
    let next = NEXT.fetch_add(BLOCK, Ordering::Relaxed);
    (next, next + BLOCK)
}

impl fmt::Debug for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeId({})", self.0)
    }
}

impl fmt::Display for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
