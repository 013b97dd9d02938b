//! What the workers of a runtime have put by beyond their own chains.

use super::{Block, Chain, LARGEST, PUTS_BY, block_of, chain_of, give_back};
use std::ptr::NonNull;

use crate::sync::Mutex;

/// Bytes that lie here at most. More than a hundred thousand small tasks leave behind.
pub(super) const KEPT: usize = 32 << 20;
/// Bytes that stay here when workers go to sleep.
pub(super) const ALWAYS: usize = 1 << 20;

/// Chains of blocks of each size. One lock for all: it is asked for once in dozens of tasks of a worker.
pub(crate) struct Depot(Mutex<Kept>);

struct Kept {
    /// By steps, the newest first.
    chains: [Option<Chain>; LARGEST],
    /// What is in them.
    bytes: usize,
    /// By steps, what is left of a chain of which blocks are taken one by one.
    begun: [Option<NonNull<Block>>; LARGEST],
}

// SAFETY: the blocks are the depot's own, and no thread's.
unsafe impl Send for Kept {}

/// Bytes of a chain of blocks of so many steps.
pub(super) const fn size_of_chain(steps: usize) -> usize {
    chain_of(steps) * block_of(steps).size()
}

impl Kept {
    fn take(&mut self, steps: usize) -> Option<Chain> {
        let mut chain = self.chains[steps - 1].take()?;
        // SAFETY: the depot's own, written when it was put by.
        self.chains[steps - 1] = unsafe { chain.0.as_mut() }.next.take();
        self.bytes -= size_of_chain(steps);
        Some(chain)
    }
}

impl Depot {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Kept { chains: [const { None }; LARGEST], bytes: 0, begun: [None; LARGEST] }))
    }

    /// A chain of blocks of so many steps.
    pub(super) fn take(&self, steps: usize) -> Option<Chain> {
        self.0.lock().take(steps)
    }

    /// One block of so many steps, for a thread that is no worker.
    pub(super) fn take_one(&self, steps: usize) -> Option<NonNull<Block>> {
        let mut kept = self.0.lock();
        let block = match kept.begun[steps - 1] {
            Some(block) => block,
            None => kept.take(steps)?.0,
        };
        // SAFETY: the depot's own, written when it was put by.
        kept.begun[steps - 1] = unsafe { block.as_ref() }.below;
        Some(block)
    }

    /// Takes a chain of blocks of so many steps in, or gives it back to the allocator if there is enough.
    pub(super) fn put(&self, mut chain: Chain, steps: usize) {
        let mut kept = self.0.lock();
        let bytes = kept.bytes + size_of_chain(steps);
        if bytes <= KEPT {
            let next = kept.chains[steps - 1].take();
            // SAFETY: the caller's, written when it was put by.
            let first: &mut Block = unsafe { chain.0.as_mut() };
            first.next = next;
            kept.chains[steps - 1] = Some(chain);
            kept.bytes = bytes;
            return;
        }
        drop(kept);
        // SAFETY: of so many steps, and the caller's, which gives it away.
        unsafe { give_back(Some(chain.0), steps) };
    }

    /// Gives a chain back to the allocator, one of the largest blocks, if more is here than always stays: a few microseconds' work.
    pub(crate) fn thin_out(&self) {
        if !PUTS_BY {
            return;
        }
        let mut kept = self.0.lock();
        if kept.bytes <= ALWAYS {
            return;
        }
        let chain = (1..=LARGEST).rev().find_map(|steps| Some((kept.take(steps)?, steps)));
        drop(kept);
        if let Some((chain, steps)) = chain {
            // SAFETY: of so many steps, and taken out.
            unsafe { give_back(Some(chain.0), steps) };
        }
    }

    #[cfg(all(test, not(any(loom, shuttle, treescope_exact))))]
    pub(super) fn bytes(&self) -> usize {
        self.0.lock().bytes
    }
}

impl Drop for Depot {
    fn drop(&mut self) {
        let mut kept = self.0.lock();
        for steps in 1..=LARGEST {
            while let Some(chain) = kept.take(steps) {
                // SAFETY: of so many steps, and taken out.
                unsafe { give_back(Some(chain.0), steps) };
            }
            // SAFETY: likewise.
            unsafe { give_back(kept.begun[steps - 1].take(), steps) };
        }
    }
}
