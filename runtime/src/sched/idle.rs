//! Who searches, who is parked, and whom a push wakes. The argument that no wake-up is lost is in `sched/README.md`.
//!
//! ```text
//!   working ──start_search──▶ searching ──stop_search (found work)──▶ working
//!      │                          │
//!      └──────────park────────────┴──▶ parked ──claim (by a pusher)──▶ searching
//!                                         └──leave (by itself)───────▶ searching
//! ```
//!
//! One word holds both counts, so that "nobody searches and somebody is parked" is one load; the list of who is
//! parked is behind a lock, taken only by those who park and by those who found that they must wake one.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering, fence};

const SEARCHER: usize = 1;
const PARKED: usize = 1 << 16;
const MASK: usize = PARKED - 1;

/// The idle workers of one scheduler.
#[derive(Debug)]
pub(crate) struct Idle {
    /// Searching workers in the low 16 bits, parked ones above.
    counts: AtomicUsize,
    /// Indices of the parked workers. Invariant under the lock: as many as `counts` says.
    parked: Mutex<Vec<usize>>,
    workers: usize,
}

/// What a worker that stops searching must do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AfterSearch {
    Nothing,
    /// It was the last searcher: whoever pushed meanwhile relied on it, so it must look once more, or wake another.
    WasLast,
}

impl Idle {
    /// For `workers` workers, 1 to 32,767.
    pub(crate) fn new(workers: usize) -> Self {
        assert!((1..1 << 15).contains(&workers), "1 to 32767 workers");
        Self { counts: AtomicUsize::new(0), parked: Mutex::new(Vec::with_capacity(workers)), workers }
    }

    /// Whether a push should wake somebody: somebody is parked and nobody searches. A hint: without
    /// [`after_push`](Self::after_push)'s fence it may miss a worker that is just going to sleep.
    #[inline]
    pub(crate) fn wants_wake(&self) -> bool {
        // Relaxed: see above; the callers that must not miss put a fence before it.
        let counts = self.counts.load(Ordering::Relaxed);
        counts & MASK == 0 && counts >= PARKED
    }

    /// [`wants_wake`](Self::wants_wake) for whoever pushed to a queue that it will not itself look at again.
    #[inline]
    pub(crate) fn after_push(&self) -> bool {
        // SeqCst: pairs with the fences in `park` and `stop_search`: either this load sees the worker parked (or no
        // longer searching), or that worker's last look at the queues sees the push.
        fence(Ordering::SeqCst);
        self.wants_wake()
    }

    /// Picks a parked worker to wake, which thereby searches. Prefers one that is not `in_driver`: the driver should
    /// keep its poller. `None`: somebody searches already, or nobody is parked.
    pub(crate) fn claim(&self, in_driver: usize) -> Option<usize> {
        let mut parked = self.parked.lock();
        if !self.wants_wake() {
            return None;
        }
        let place = parked.iter().rposition(|&worker| worker != in_driver).or(parked.len().checked_sub(1))?;
        let worker = parked.swap_remove(place);
        // Relaxed: the lock orders it among parkers and claimers; searchers only add and subtract their own one.
        self.counts.fetch_add(SEARCHER.wrapping_sub(PARKED), Ordering::Relaxed);
        Some(worker)
    }

    /// Begins to search, unless half of the workers do: more would fight over the same few tasks.
    pub(crate) fn start_search(&self) -> bool {
        // Relaxed: a limit, not a lock; one too many does no harm.
        let counts = self.counts.load(Ordering::Relaxed);
        if 2 * (counts & MASK) >= self.workers {
            return false;
        }
        // Relaxed: to search more is always safe.
        self.counts.fetch_add(SEARCHER, Ordering::Relaxed);
        true
    }

    /// Stops searching because there is work to do.
    pub(crate) fn stop_search(&self) -> AfterSearch {
        // Relaxed: ordered by the fence below.
        let before = self.counts.fetch_sub(SEARCHER, Ordering::Relaxed);
        debug_assert!(before & MASK != 0);
        if before & MASK != 1 {
            return AfterSearch::Nothing;
        }
        // SeqCst: pairs with the fence in `after_push`: a push that saw this searcher is seen by its next look.
        fence(Ordering::SeqCst);
        AfterSearch::WasLast
    }

    /// Parks `worker`; `searching` says whether it was counted as a searcher. The caller looks at every queue once
    /// more before it sleeps if the answer is [`AfterSearch::WasLast`].
    pub(crate) fn park(&self, worker: usize, searching: bool) -> AfterSearch {
        let mut parked = self.parked.lock();
        parked.push(worker);
        let change = if searching { PARKED.wrapping_sub(SEARCHER) } else { PARKED };
        // Relaxed: ordered by the fence below.
        let before = self.counts.fetch_add(change, Ordering::Relaxed);
        drop(parked);
        // SeqCst: pairs with the fence in `after_push`.
        fence(Ordering::SeqCst);
        if before & MASK == usize::from(searching) { AfterSearch::WasLast } else { AfterSearch::Nothing }
    }

    /// `worker` wakes by itself (I/O, a timer, a last look) and searches from now on; if it was claimed meanwhile, it
    /// does so already.
    pub(crate) fn leave(&self, worker: usize) {
        let mut parked = self.parked.lock();
        if let Some(place) = parked.iter().position(|&other| other == worker) {
            parked.swap_remove(place);
            // Relaxed: as in `claim`.
            self.counts.fetch_add(SEARCHER.wrapping_sub(PARKED), Ordering::Relaxed);
        }
    }

    /// Whether every worker is parked.
    pub(crate) fn all_parked(&self) -> bool {
        self.parked.lock().len() == self.workers
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    const NOBODY: usize = usize::MAX;

    #[test]
    fn a_push_wakes_one_and_then_relies_on_it() {
        let idle = Idle::new(2);
        assert!(!idle.after_push(), "nobody is parked");
        assert_eq!(idle.park(0, false), AfterSearch::WasLast);
        assert_eq!(idle.park(1, false), AfterSearch::WasLast);
        assert!(idle.all_parked());
        assert!(idle.after_push());
        assert!(idle.claim(NOBODY).is_some());
        assert!(!idle.after_push(), "one searches");
        assert_eq!(idle.claim(NOBODY), None);
        assert_eq!(idle.stop_search(), AfterSearch::WasLast);
        assert!(idle.after_push(), "the other is still parked");
    }

    #[test]
    fn the_worker_in_the_driver_is_claimed_last() {
        let idle = Idle::new(2);
        let _ = idle.park(0, false);
        let _ = idle.park(1, false);
        assert_eq!(idle.claim(1), Some(0));
        let _ = idle.stop_search();
        assert_eq!(idle.claim(1), Some(1));
    }

    #[test]
    fn leaving_after_a_claim_counts_once() {
        let idle = Idle::new(1);
        let _ = idle.park(0, false);
        assert_eq!(idle.claim(NOBODY), Some(0));
        idle.leave(0);
        assert_eq!(idle.stop_search(), AfterSearch::WasLast);
        assert!(!idle.wants_wake(), "neither parked nor searching is left");
    }

    #[test]
    fn at_most_half_search() {
        let idle = Idle::new(4);
        assert!(idle.start_search());
        assert!(idle.start_search());
        assert!(!idle.start_search());
    }
}
