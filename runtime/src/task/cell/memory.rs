//! The memory of tasks, which a worker keeps for the next ones.
//!
//! A tree makes and ends tasks of a few sizes at a great rate, dozens of them alive at a time on a worker, or a hundred thousand. The
//! system's allocator keeps a handful of a size at hand and works for each that is more; and what many have left behind it gives back to
//! the system, page by page, to ask for it again. So what a task's end frees is put by, on the worker that frees it, and the next task
//! made there takes it. A block is the allocator's, of one of a few sizes, and belongs to no worker in particular: whoever
//! frees it keeps it, or gives it back if it has enough.
//!
//! # What is enough
//!
//! A worker puts by as much as it has ever had to ask the allocator for in a row, with nothing coming back in between: it may have to
//! make as many again. (Not all that it has asked for: if others end what it makes, that is without bound. One that only ends
//! what others have made needs nothing, and keeps [`AT_ONCE`].) But not more than its part of [`KEPT`], which is
//! for a runtime's workers together; and of what is more than [`ALWAYS`] it gives some back each time it [goes to
//! sleep](Spare::thin_out), so what a peak has left goes with the turns of the work that follows it, and all when its runtime ends.
//!
//! Rejected: slabs, whose blocks have to find their way home to the thread that made them.
//!
//! Under the checkers, and under `--cfg treescope_exact` for the sanitizers and memcheck, nothing is put by: they are to see each end of an
//! allocation.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr::NonNull;

use crate::context;

/// Blocks are of so many bytes, times one, two, .., and [`EXTRA`].
const STEP: usize = 16;
/// glibc rounds to the same sizes, having put 8 bytes before them. Other allocators do not mind.
const EXTRA: usize = 8;
/// What every allocator gives without being asked.
const ALIGN: usize = 16;
/// The largest that is put by, in steps.
const LARGEST: usize = 64;
/// Bytes that the workers of a runtime put by, at most, together.
const KEPT: usize = 32 << 20;
/// Bytes that a worker puts by though it has asked for nothing.
const AT_ONCE: usize = 32 << 10;
/// Bytes that a worker keeps even if it sleeps.
const ALWAYS: usize = 512 << 10;
/// How many blocks a worker gives back at most when it goes to sleep: a few microseconds' work.
const THINNED: usize = 32;
const PUTS_BY: bool = !cfg!(any(loom, shuttle, treescope_exact));

/// What a worker has put by.
pub(crate) struct Spare {
    stacks: [Stack; LARGEST],
    /// How many bytes it may put by.
    enough: Cell<usize>,
    /// How many of them it has not.
    left: Cell<usize>,
    /// How many it has asked the allocator for since something was last put by.
    asked: Cell<usize>,
    /// More than what `enough` may come to.
    most: usize,
}

/// Blocks of one size.
struct Stack {
    newest: Cell<Option<NonNull<Block>>>,
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
    let steps = layout.size().saturating_sub(EXTRA).div_ceil(STEP);
    if steps == 0 || steps > LARGEST || layout.align() > ALIGN || !PUTS_BY { None } else { Some(steps) }
}

/// The layout of a block of so many steps, which are not more than [`LARGEST`].
#[inline]
const fn block_of(steps: usize) -> Layout {
    match Layout::from_size_align(steps * STEP + EXTRA, ALIGN) {
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
            if let Some(Some(block)) = context::with_worker(|worker| worker.spare().take_or_note(steps)) {
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
    /// For one of so many workers.
    pub(crate) const fn new(workers: usize) -> Self {
        Self {
            stacks: [const { Stack { newest: Cell::new(None) } }; LARGEST],
            enough: Cell::new(AT_ONCE),
            left: Cell::new(AT_ONCE),
            asked: Cell::new(0),
            most: KEPT / workers,
        }
    }

    /// A block, or a note that the allocator has to be asked for one.
    #[inline]
    fn take_or_note(&self, steps: usize) -> Option<NonNull<Block>> {
        let block = self.take(steps);
        if block.is_none() {
            self.note_asked(block_of(steps).size());
        }
        block
    }

    #[cold]
    fn note_asked(&self, size: usize) {
        self.asked.set(self.asked.get() + size);
        let more = self.asked.get().min(self.most).saturating_sub(self.enough.get());
        self.enough.set(self.enough.get() + more);
        self.left.set(self.left.get() + more);
    }

    fn kept(&self) -> usize {
        self.enough.get() - self.left.get()
    }

    #[inline]
    fn take(&self, steps: usize) -> Option<NonNull<Block>> {
        let stack = &self.stacks[steps - 1];
        let block = stack.newest.get()?;
        // SAFETY: the stack's own, written by `put`.
        stack.newest.set(unsafe { block.as_ref() }.below);
        self.left.set(self.left.get() + block_of(steps).size());
        Some(block)
    }

    /// `false` if there is enough already.
    ///
    /// # Safety
    /// The block is the allocator's, of so many steps, and the caller's; if it is kept, it is so no more.
    #[inline]
    unsafe fn put(&self, block: NonNull<Block>, steps: usize) -> bool {
        self.asked.set(0);
        let stack = &self.stacks[steps - 1];
        let Some(left) = self.left.get().checked_sub(block_of(steps).size()) else { return false };
        // SAFETY: the caller's, by contract, large and aligned enough.
        unsafe { block.write(Block { below: stack.newest.get() }) };
        stack.newest.set(Some(block));
        self.left.set(left);
        true
    }

    /// Takes a block and gives it back; `false` if there is none of so many steps.
    fn give_back(&self, steps: usize) -> bool {
        let block = self.take(steps);
        if let Some(block) = block {
            // SAFETY: the allocator's, of this layout.
            unsafe { alloc::dealloc(block.as_ptr().cast(), block_of(steps)) };
        }
        block.is_some()
    }

    /// Gives some of what is more than a worker always keeps back to the allocator, the largest blocks first.
    #[inline]
    pub(crate) fn thin_out(&self) {
        if self.kept() > ALWAYS {
            self.thin_out_slow();
        }
    }

    #[cold]
    fn thin_out_slow(&self) {
        let mut given = 0;
        for steps in (1..=LARGEST).rev() {
            while given < THINNED && self.give_back(steps) {
                given += 1;
            }
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for steps in 1..=LARGEST {
            while self.give_back(steps) {}
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

    /// Gives a block back to the allocator.
    fn drop_block(block: NonNull<Block>, steps: usize) {
        // SAFETY: from `block`, of that size, and the caller's.
        unsafe { alloc::dealloc(block.as_ptr().cast(), block_of(steps)) };
    }

    /// Puts blocks of so many steps by until there is enough; gives their number.
    fn fill(spare: &Spare, steps: usize) -> usize {
        let mut kept = 0;
        loop {
            let block = block(steps);
            // SAFETY: fresh, of that size.
            if !unsafe { spare.put(block, steps) } {
                drop_block(block, steps);
                return kept;
            }
            kept += 1;
        }
    }

    /// Asks for so many blocks of so many steps in vain.
    fn ask(spare: &Spare, steps: usize, times: usize) {
        (0..times).for_each(|_| assert_eq!(spare.take_or_note(steps), None));
    }

    #[test]
    fn what_is_put_by_is_taken_newest_first_and_by_size() {
        let spare = Spare::new(1);
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
        [(small, 1), (other, 1), (large, LARGEST)].map(|(block, steps)| drop_block(block, steps));
    }

    #[test]
    fn a_worker_that_asks_for_nothing_puts_little_by() {
        let spare = Spare::new(1);
        assert_eq!(fill(&spare, LARGEST), AT_ONCE / block_of(LARGEST).size());
        assert!(fill(&spare, 1) <= block_of(LARGEST).size() / block_of(1).size());
        spare.take(LARGEST).map(|block| drop_block(block, LARGEST)).expect("was put by");
        assert!(fill(&spare, 1) > 0, "what is taken makes room");
    }

    #[test]
    fn a_worker_puts_by_what_it_has_asked_for_in_a_row_up_to_its_part() {
        let size = block_of(LARGEST).size();
        for workers in [1, 64] {
            let spare = Spare::new(workers);
            ask(&spare, LARGEST, 100);
            assert_eq!(fill(&spare, LARGEST), 100);
            let spare = Spare::new(workers);
            ask(&spare, LARGEST, KEPT / size + 1);
            assert_eq!(fill(&spare, LARGEST), KEPT / workers / size);
        }
    }

    #[test]
    fn a_worker_whose_tasks_others_end_puts_no_more_by_the_longer_it_runs() {
        let (spare, size) = (Spare::new(1), block_of(LARGEST).size());
        for _ in 0..1_000 {
            ask(&spare, LARGEST, 40);
            let block = block(LARGEST);
            // SAFETY: fresh, of that size.
            assert!(unsafe { spare.put(block, LARGEST) });
            spare.take(LARGEST).map(|block| drop_block(block, LARGEST)).expect("was put by");
        }
        assert_eq!(fill(&spare, LARGEST), 40.max(AT_ONCE / size));
    }

    #[test]
    fn what_a_peak_has_left_goes_sleep_by_sleep_but_for_what_is_always_kept() {
        let (spare, size) = (Spare::new(1), block_of(LARGEST).size());
        ask(&spare, LARGEST, KEPT / size);
        fill(&spare, LARGEST);
        let peak = spare.kept();
        spare.thin_out();
        assert_eq!(spare.kept(), peak - THINNED * size);
        (0..peak / THINNED / size).for_each(|_| spare.thin_out());
        assert!(spare.kept() <= ALWAYS && spare.kept() + THINNED * size > ALWAYS);
    }

    #[test]
    fn what_is_large_or_widely_aligned_is_the_allocators_alone() {
        let steps = |size, align| {
            steps_for(Layout::from_size_align(size, align).expect("valid"))
                .map(|steps| (block_of(steps).size(), steps))
        };
        let most = LARGEST * STEP + EXTRA;
        assert_eq!(steps(EXTRA + 1, 1), Some((STEP + EXTRA, 1)));
        assert_eq!(steps(EXTRA + STEP, 16), Some((STEP + EXTRA, 1)));
        assert_eq!(steps(EXTRA + STEP + 1, 8), Some((2 * STEP + EXTRA, 2)));
        assert_eq!(steps(most, 16), Some((most, LARGEST)));
        assert_eq!(steps(most + 1, 16), None);
        assert_eq!(steps(64, 32), None);
    }
}
