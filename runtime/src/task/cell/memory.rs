//! The memory of scopes' tasks, which a worker keeps for the next ones.
//!
//! A tree opens and ends scopes of a few sizes at a great rate, dozens of them alive at a time on a worker; the system's allocator keeps seven
//! of a size at hand and works for each that is more. So what a scope's end frees is put by, on the worker that frees it, and
//! the next scope opened there takes it. A block is the allocator's, of a size that is a multiple of [`STEP`], and belongs to
//! no worker in particular: whoever frees it keeps it, or gives it back if it has enough. A worker has half a MiB at most, and gives that
//! back when its runtime ends.
//!
//! Rejected: slabs, whose blocks have to find their way home to the thread that made them.
//!
//! Under the checkers, and under `--cfg treescope_exact` for the sanitizers and memcheck, nothing is put by: they are to see each end of an
//! allocation.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr::NonNull;

use crate::context;

/// Blocks come in multiples of so many bytes.
const STEP: usize = 64;
/// What every allocator gives without being asked.
const ALIGN: usize = 16;
/// The largest that is put by, in steps.
const LARGEST: usize = 16;
/// Bytes that are put by of one size, at most.
const KEPT: usize = 32 << 10;
const PUTS_BY: bool = !cfg!(any(loom, shuttle, treescope_exact));

/// What a worker has put by.
pub(crate) struct Spare([Stack; LARGEST]);

/// Blocks of one size.
struct Stack {
    newest: Cell<Option<NonNull<Block>>>,
    len: Cell<usize>,
}

/// A block that is put by. The invariant of its owner, a [`Stack`]: it is of the allocator's, of that stack's layout, and nobody
/// else's.
struct Block {
    below: Option<NonNull<Block>>,
}

// SAFETY: its blocks are its own.
unsafe impl Send for Spare {}

/// How many steps a block for `layout` takes; `None` for what is not put by.
#[inline]
const fn steps_for(layout: Layout) -> Option<usize> {
    let steps = layout.size().div_ceil(STEP);
    if steps == 0 || steps > LARGEST || layout.align() > ALIGN || !PUTS_BY { None } else { Some(steps) }
}

/// The layout of a block of so many steps, which are not more than [`LARGEST`].
#[inline]
const fn block_of(steps: usize) -> Layout {
    match Layout::from_size_align(steps * STEP, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a block is small"),
    }
}

/// Memory for a `T`, which is not of size zero.
#[inline]
pub(super) fn allocate<T>() -> NonNull<T> {
    const { assert!(size_of::<T>() > 0) };
    let layout = match const { steps_for(Layout::new::<T>()) } {
        None => const { Layout::new::<T>() },
        Some(steps) => {
            if let Some(Some(block)) = context::with_worker(|worker| worker.spare().take(steps)) {
                return block.cast();
            }
            block_of(steps)
        }
    };
    // SAFETY: not of size zero: a `T`'s, or a multiple of a step.
    unsafe { fresh(layout) }.cast()
}

/// Memory from the allocator.
///
/// # Safety
/// `layout` is not of size zero.
#[cold]
unsafe fn fresh(layout: Layout) -> NonNull<u8> {
    // SAFETY: by contract.
    let block = unsafe { alloc::alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}

/// Frees a `T`'s memory.
///
/// # Safety
/// It came from [`allocate`] for the same type, nothing of value is left in it, and nobody uses it any more.
#[inline]
pub(super) unsafe fn free<T>(at: NonNull<T>) {
    let layout = match const { steps_for(Layout::new::<T>()) } {
        None => const { Layout::new::<T>() },
        Some(steps) => {
            // SAFETY: by contract, and `allocate` made it of this size.
            let is_kept = context::with_worker(|worker| unsafe { worker.spare().put(at.cast(), steps) });
            if is_kept == Some(true) {
                return;
            }
            block_of(steps)
        }
    };
    // SAFETY: by contract, and `allocate` asked for this layout.
    unsafe { alloc::dealloc(at.as_ptr().cast(), layout) };
}

impl Spare {
    pub(crate) const fn new() -> Self {
        Self([const { Stack { newest: Cell::new(None), len: Cell::new(0) } }; LARGEST])
    }

    #[inline]
    fn take(&self, steps: usize) -> Option<NonNull<Block>> {
        let stack = &self.0[steps - 1];
        let block = stack.newest.get()?;
        // SAFETY: the stack's own, written by `put`.
        stack.newest.set(unsafe { block.as_ref() }.below);
        stack.len.set(stack.len.get() - 1);
        Some(block)
    }

    /// `false` if there is enough already.
    ///
    /// # Safety
    /// The block is the allocator's, of so many steps, and the caller's; if it is kept, it is so no more.
    #[inline]
    unsafe fn put(&self, block: NonNull<Block>, steps: usize) -> bool {
        let stack = &self.0[steps - 1];
        if stack.len.get() >= KEPT / (steps * STEP) {
            return false;
        }
        // SAFETY: the caller's, by contract, large and aligned enough.
        unsafe { block.write(Block { below: stack.newest.get() }) };
        stack.newest.set(Some(block));
        stack.len.set(stack.len.get() + 1);
        true
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for steps in 1..=LARGEST {
            while let Some(block) = self.take(steps) {
                // SAFETY: the allocator's, of this layout.
                unsafe { alloc::dealloc(block.as_ptr().cast(), block_of(steps)) };
            }
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle, treescope_exact))))]
mod tests {
    use super::*;

    fn block(steps: usize) -> NonNull<Block> {
        // SAFETY: not of size zero.
        unsafe { fresh(block_of(steps)) }.cast()
    }

    #[test]
    fn what_is_put_by_is_taken_newest_first_and_by_size() {
        let spare = Spare::new();
        let (small, other, large) = (block(1), block(1), block(LARGEST));
        for (block, steps) in [(small, 1), (other, 1), (large, LARGEST)] {
            // SAFETY: fresh, of that size.
            assert!(unsafe { spare.put(block, steps) });
        }
        assert_eq!(spare.take(2), None);
        assert_eq!(spare.take(1), Some(other));
        assert_eq!(spare.take(LARGEST), Some(large));
        assert_eq!(spare.take(LARGEST), None);
        assert_eq!(spare.take(1), Some(small));
        for (block, steps) in [(small, 1), (other, 1), (large, LARGEST)] {
            // SAFETY: as above; they go with the spare.
            assert!(unsafe { spare.put(block, steps) });
        }
    }

    #[test]
    fn no_more_is_put_by_than_is_kept_of_a_size() {
        let spare = Spare::new();
        for steps in [1, 3, LARGEST] {
            let all = KEPT / (steps * STEP);
            // SAFETY: fresh, of that size.
            assert!((0..all).all(|_| unsafe { spare.put(block(steps), steps) }));
            let more = block(steps);
            // SAFETY: as above.
            assert!(!unsafe { spare.put(more, steps) });
            // SAFETY: as above, and refused.
            unsafe { alloc::dealloc(more.as_ptr().cast(), block_of(steps)) };
        }
    }

    #[test]
    fn what_is_large_or_widely_aligned_is_the_allocators_alone() {
        let steps = |size, align| {
            steps_for(Layout::from_size_align(size, align).expect("valid"))
                .map(|steps| (block_of(steps).size(), steps))
        };
        assert_eq!(steps(1, 1), Some((STEP, 1)));
        assert_eq!(steps(STEP, 16), Some((STEP, 1)));
        assert_eq!(steps(STEP + 1, 8), Some((2 * STEP, 2)));
        assert_eq!(steps(LARGEST * STEP, 16), Some((LARGEST * STEP, LARGEST)));
        assert_eq!(steps(LARGEST * STEP + 1, 16), None);
        assert_eq!(steps(64, 32), None);
    }
}
