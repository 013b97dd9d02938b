//! The memory of tasks, and of [channels](crate::oneshot), which workers keep for the next ones.
//!
//! A tree makes and ends tasks of a few sizes at a great rate, dozens of them alive at a time, or a hundred thousand. The
//! system's allocator keeps a handful of a size at hand and works for each that is more; and what many have left behind it gives back to
//! the system, page by page, to ask for it again. So what a task's end frees is put by, on the worker that frees it, and the next task
//! made there takes it.
//!
//! A block is the allocator's, of one of a few sizes, and belongs to no worker in particular. Nor does it stay with one: a task is made
//! here, stolen, and ended there, and a body goes on elsewhere when it has been woken. So a worker has two chains of a size at most, 4
//! KiB each, half a MiB if it ever comes to all sizes, of which it puts one into the runtime's [`Depot`] when both are full, and gets one from there when it has none.
//!
//! ```text
//!             allocate                                free
//!   task ◀────────────── Spare (a worker's own) ◀──────────────── task
//!     ▲                     │ ▲
//!     │             hand_in │ │ refill                a chain at a time
//!     │                     ▼ │
//!   fresh ── none left ── Depot (the runtime's) ── full, thin_out ──▶ the allocator
//! ```
//!
//! A thread that is no worker of the runtime, a root's body say, takes single blocks from the depot. The allocator is asked only when there is nothing there. So there are never more blocks of a size than there have been tasks of
//! it alive at one time, but for what lies in the workers' chains, and channels that a thread outside all runtimes has made. The depot holds [so many bytes](depot::KEPT) at most, and gives some
//! back each time a worker goes to sleep: what a peak has left goes with the turns of the work that follows it.
//!
//! Rejected: slabs, whose blocks have to find their way home to the thread that made them. And no depot, but more on each worker: a runtime
//! in which one worker makes what another ends has then all of it in the wrong place, for ever.
//!
//! Under the checkers, and under `--cfg treescope_exact` for the sanitizers and memcheck, nothing is put by: they are to see each end of an
//! allocation.
//!
//! Bonwick and Adams, "Magazines and Vmem" (USENIX 2001), for the two chains and the depot.

pub(crate) mod depot;

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr::NonNull;

use crate::context;
use crate::sched::SchedRef;
use depot::Depot;

/// Blocks are of so many bytes, times one, two, .., and [`EXTRA`].
const STEP: usize = 16;
/// glibc rounds to the same sizes on 64 bits, having put 8 bytes before them. Other allocators do not mind.
const EXTRA: usize = 8;
/// What an allocator gives without being asked, on 64 bits.
const ALIGN: usize = 16;
/// The largest that is put by, in steps.
const LARGEST: usize = 64;
/// Bytes of a chain, at most.
const CHAIN: usize = 4 << 10;
const PUTS_BY: bool = !cfg!(any(loom, shuttle, treescope_exact));

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

/// How many blocks of so many steps a chain has.
#[inline]
const fn chain_of(steps: usize) -> usize {
    CHAIN / block_of(steps).size()
}

/// What the allocator is asked for: the layout of a block, or of a `T` that is not put by.
#[inline]
const fn layout_for<T>() -> Layout {
    let layout = Layout::new::<T>();
    match steps_for(layout) {
        Some(steps) => block_of(steps),
        None => layout,
    }
}

/// Memory for a `T`, which is not of size zero, for a task of `sched`'s.
#[inline]
pub(super) fn allocate<T>(sched: SchedRef) -> NonNull<T> {
    if let Some(steps) = const { steps_for(Layout::new::<T>()) } {
        let taken = context::with_worker_of(sched, |worker| worker.spare().take(steps, worker.depot()));
        if let Some(block) = taken.unwrap_or_else(|| sched.depot().take_one(steps)) {
            return block.cast();
        }
    }
    fresh_for()
}

/// The same for what goes with no task: of the runtime that the current thread works or blocks for, if any.
#[inline]
pub(crate) fn allocate_here<T>() -> NonNull<T> {
    context::sched().map_or_else(fresh_for, allocate)
}

/// Memory from the allocator, for a `T`, which is not of size zero.
#[inline]
fn fresh_for<T>() -> NonNull<T> {
    const { assert!(size_of::<T>() > 0) };
    // SAFETY: not of size zero: a `T`'s, or a multiple of a step and more.
    unsafe { fresh(const { layout_for::<T>() }) }.cast()
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
/// It came from [`allocate`] or [`allocate_here`] for the same type, nothing of value is left in it, and nobody uses it any more.
#[inline]
pub(crate) unsafe fn free<T>(at: NonNull<T>) {
    if let Some(steps) = const { steps_for(Layout::new::<T>()) } {
        // SAFETY: by contract, and it was made of this size.
        let put = context::with_worker(|worker| unsafe {
            worker.spare().put(at.cast(), steps, worker.depot());
        });
        if put.is_some() {
            return;
        }
    }
    // SAFETY: by contract, and this layout was asked for.
    unsafe { alloc::dealloc(at.as_ptr().cast(), const { layout_for::<T>() }) };
}

/// A block that is put by. The invariant of its owner, a [`Stack`] or the depot: it is the allocator's, of the layout of its owner's
/// steps, and nobody else's.
struct Block {
    below: Option<NonNull<Block>>,
    /// In the depot, of a chain's first block: the next chain.
    next: Option<Chain>,
}

const _: () = assert!(size_of::<Block>() <= block_of(1).size() && align_of::<Block>() <= ALIGN);

/// As many blocks of a size as [`chain_of`] says, by the first.
struct Chain(NonNull<Block>);

/// What a worker has put by.
pub(crate) struct Spare([Stack; LARGEST]);

/// Blocks of one size.
struct Stack {
    newest: Cell<Option<NonNull<Block>>>,
    /// How many that is, at most a chain.
    len: Cell<usize>,
    other: Cell<Option<Chain>>,
}

// SAFETY: its blocks are its own.
unsafe impl Send for Spare {}

impl Spare {
    pub(crate) const fn new() -> Self {
        Self(
            [const { Stack { newest: Cell::new(None), len: Cell::new(0), other: Cell::new(None) } }; LARGEST],
        )
    }

    /// A block of so many steps, if there is one here or in the depot.
    #[inline]
    fn take(&self, steps: usize, depot: &Depot) -> Option<NonNull<Block>> {
        let stack = &self.0[steps - 1];
        let block = match stack.newest.get() {
            Some(block) => block,
            None => stack.refill(steps, depot)?,
        };
        // SAFETY: the stack's own, written by `put`.
        stack.newest.set(unsafe { block.as_ref() }.below);
        stack.len.set(stack.len.get() - 1);
        Some(block)
    }

    /// Puts a block by.
    ///
    /// # Safety
    /// The block is the allocator's, of so many steps, and the caller's, whose it is no more.
    #[inline]
    unsafe fn put(&self, block: NonNull<Block>, steps: usize, depot: &Depot) {
        let stack = &self.0[steps - 1];
        if stack.len.get() == chain_of(steps) {
            stack.hand_in(steps, depot);
        }
        // SAFETY: the caller's, by contract, large and aligned enough.
        unsafe { block.write(Block { below: stack.newest.get(), next: None }) };
        stack.newest.set(Some(block));
        stack.len.set(stack.len.get() + 1);
    }
}

impl Stack {
    /// Goes on with another chain, having none; gives its first block, which stays where it is.
    #[cold]
    fn refill(&self, steps: usize, depot: &Depot) -> Option<NonNull<Block>> {
        let Chain(first) = self.other.take().or_else(|| depot.take(steps))?;
        self.newest.set(Some(first));
        self.len.set(chain_of(steps));
        Some(first)
    }

    /// Makes room, a chain being full.
    #[cold]
    fn hand_in(&self, steps: usize, depot: &Depot) {
        self.len.set(0);
        let full = self.newest.take().map(Chain);
        if let Some(older) = self.other.replace(full) {
            depot.put(older, steps);
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for (stack, steps) in self.0.iter().zip(1..) {
            for first in [stack.newest.take(), stack.other.take().map(|chain| chain.0)] {
                // SAFETY: the stack's own, of so many steps, and taken out.
                unsafe { give_back(first, steps) };
            }
        }
    }
}

/// Gives a block and all below it back to the allocator.
///
/// # Safety
/// They are of so many steps, and the caller's, whose they are no more.
unsafe fn give_back(first: Option<NonNull<Block>>, steps: usize) {
    let mut at = first;
    while let Some(block) = at {
        // SAFETY: written when it was put by, and the caller's.
        at = unsafe { block.as_ref() }.below;
        // SAFETY: the allocator's, of this layout, and not used again.
        unsafe { alloc::dealloc(block.as_ptr().cast(), block_of(steps)) };
    }
}

#[cfg(all(test, not(any(loom, shuttle, treescope_exact))))]
mod tests;
