//! How another thread ends a blocking turn: a three-valued word beside the poller's own wake-up call.
//!
//! A call into the kernel for every interruption would be paid by every push onto a queue, though the
//! poller is hardly ever asleep when work is plentiful. So the word says whether the call is needed:
//!
//! ```text
//!            doze                    ring: the caller must kick the poller
//!   AWAKE ----------> ASLEEP ------------------------------> RUNG
//!     ^ |               | rouse                               | rouse
//!     | |               v                                     v
//!     | +-- ring ---> RUNG (the next doze refuses)          AWAKE
//!     +---- rouse ------+
//! ```
//!
//! *Actors.* Any thread may `ring`. `doze` and `rouse` belong to the one thread that has the turn.
//!
//! *No lost ring.* All three are read-modify-writes of one word, so they have one order. A ring before
//! `doze` makes `doze` fail, and the turn does not block. A ring after it finds `ASLEEP` and its caller
//! kicks the poller, whose wake-up call is remembered by the kernel should the thread not have reached
//! `epoll_wait` yet. A kick that is so late that its turn has ended ends a later one early, which is
//! harmless: every caller of a blocking turn looks again at why it slept.

use crate::sync::atomic::{AtomicU32, Ordering};

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const RUNG: u32 = 2;

#[derive(Debug)]
pub(super) struct Bell {
    state: AtomicU32,
}

impl Bell {
    pub(super) fn new() -> Self {
        Self { state: AtomicU32::new(AWAKE) }
    }

    /// Asks the present or else the next blocking turn to return. True: the poller is asleep and must be
    /// kicked; the caller does that.
    #[must_use]
    pub(super) fn ring(&self) -> bool {
        // Release: pairs with Acquire in `rouse`, so that what was done before the ring (a task
        // pushed onto a queue) is seen by the thread whose turn it ended.
        self.state.swap(RUNG, Ordering::Release) == ASLEEP
    }

    /// Announces a block. False: the bell was rung, and the turn must not block. `rouse` follows either way.
    #[must_use]
    pub(super) fn doze(&self) -> bool {
        // Relaxed: the `rouse` that follows acquires what a ring handed over.
        self.state.compare_exchange(AWAKE, ASLEEP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Ends a block, or takes back a ring that came before it. True: the bell was rung.
    pub(super) fn rouse(&self) -> bool {
        // Acquire: pairs with Release in `ring`.
        self.state.swap(AWAKE, Ordering::Acquire) == RUNG
    }

    /// Whether the turn has dozed off; for tests that must not ring before it has.
    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(super) fn is_asleep(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ASLEEP
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_the_doze_refuses_it_once() {
        let bell = Bell::new();
        assert!(!bell.ring());
        assert!(!bell.ring());
        assert!(!bell.doze());
        assert!(bell.rouse());
        assert!(bell.doze());
        assert!(!bell.rouse());
    }

    #[test]
    fn only_the_first_ring_of_a_sleeper_has_to_kick() {
        let bell = Bell::new();
        assert!(bell.doze());
        assert!(bell.ring());
        assert!(!bell.ring());
        assert!(bell.rouse());
    }
}
