//! Whether a system call on one direction of a socket is worth trying, and who waits until it is.
//!
//! The kernel reports an *edge* once: "this became readable". Between a call that found nothing
//! (`WouldBlock`) and the note that says so, the next edge may arrive; were the note then to overwrite it,
//! the socket would be waited for forever. So every edge has a number:
//!
//! ```text
//!   state = [ tick: 30 bits | DOUBT | READY ]
//!
//!   set           tick+1, READY        the turn, on an edge                 then wakes who waits
//!   poll_ready    reads the state      the task, before its system call     or leaves its waker
//!   clear(tick)   READY off,           the task, after WouldBlock
//!   drained(tick) if tick unchanged    the task, after a short read
//! ```
//!
//! *No lost edge.* Let a call find nothing at time c, having read the state (tick n) before c. What happened
//! on the socket before c, the call saw. What happens after c is an edge that some turn reports with a `set`
//! after c. If that `set` precedes the compare-and-swap of `clear(n)`, the tick is n+1 or more and the swap
//! fails; if it follows, it puts READY back. Both act on one word, so there is no third case. (An old edge
//! that is reported late makes READY true for nothing, at the cost of one more `WouldBlock`.)
//!
//! *No lost waiter.* `poll_ready` leaves its waker and then looks at the state again, both under the lock of
//! the waiters; `set` changes the state and then takes the waiters under that lock. If `set` takes the lock
//! second it finds the waker; if first, the lock makes its change visible to the second look.
//!
//! *Orderings.* Everything is Relaxed: the word guards no memory of ours (the bytes are in the kernel), READY
//! is a hint, and the only two facts that must not be missed are covered above by the word's own modification
//! order and by the lock.
//!
//! *A short read* (fewer bytes than asked for) of a stream means that the kernel's buffer was empty just
//! then, so READY can go without a further call that returns `WouldBlock`: one system call less per message.
//! Two things make a read short though more can be read: it stops before the end of the stream, and before
//! urgent data. Each makes an edge of its own that tells them apart (`EPOLLRDHUP`, `EPOLLPRI`), and `set`
//! then leaves DOUBT for good: from there on only `WouldBlock` clears READY. The argument is that of `clear`:
//! if the hang-up came before the read and was reported before `poll_ready`, DOUBT is seen; if it was
//! reported later, the tick differs or READY comes back. Without DOUBT the end of a stream that arrived
//! together with its last bytes would be lost; `data_and_end_in_one_edge_are_both_read` fails then.
//!
//! *Several waiters.* Any number of tasks may wait for one direction, and an edge wakes all of them.
//! Different wakers of tasks that no longer care stay until the next edge, at most [`MAX_WAITERS`]: a waker
//! beyond that displaces the oldest, which is woken so that its task can come again. To keep only the last
//! waker was rejected: two tasks that accept on one listener would wake each other without end.

use std::task::{Context, Poll, Waker};

use super::wakers;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, Ordering};

const READY: u32 = 1;
const DOUBT: u32 = 2;
const ONE_TICK: u32 = 4;

/// How many distinct wakers one direction of one socket keeps.
pub(crate) const MAX_WAITERS: usize = 32;

/// The state in which a caller found the direction, to be given back with what its call found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick(u32);

/// One direction of one socket. The state first: see [`Directions`](super::sockets::Directions).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Readiness {
    state: AtomicU32,
    waiters: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    /// Nearly always the only one, and then nothing is allocated.
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Readiness {
    /// `ready`: the first call is tried without waiting for an edge, for it is likely to succeed.
    pub(crate) fn new(ready: bool) -> Self {
        let state = if ready { READY } else { 0 };
        Self { state: AtomicU32::new(state), waiters: Mutex::new(Waiters::default()) }
    }

    /// The tick if a system call is worth trying.
    pub(crate) fn ready(&self) -> Option<Tick> {
        let state = self.state.load(Ordering::Relaxed);
        (state & READY != 0).then_some(Tick(state))
    }

    /// The tick if a system call is worth trying; otherwise the task is woken by the next edge.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Tick> {
        match self.ready() {
            Some(tick) => Poll::Ready(tick),
            None => self.wait(cx),
        }
    }

    #[cold]
    fn wait(&self, cx: &mut Context<'_>) -> Poll<Tick> {
        // Cloned before the lock is taken and dropped after it is given back: both are user code.
        let waker = cx.waker().clone();
        let mut waiters = self.waiters.lock();
        let unused = waiters.add(waker);
        let ready = self.ready();
        drop(waiters);
        match unused {
            Unused::None => {}
            Unused::Duplicate(waker) => drop(waker),
            Unused::Displaced(waker) => wakers::wake(waker),
        }
        // The waker may stay behind: it is woken for nothing once.
        ready.map_or(Poll::Pending, Poll::Ready)
    }

    /// The call that followed `tick` found nothing (`WouldBlock`).
    pub(crate) fn clear(&self, tick: Tick) {
        // A failure means an edge since (the tick differs) or another task that has cleared the same one.
        let cleared = tick.0 & !READY;
        let _ = self.state.compare_exchange(tick.0, cleared, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The read that followed `tick` got less than it asked for. Only where that proves an empty buffer.
    pub(crate) fn drained(&self, tick: Tick) {
        if tick.0 & DOUBT == 0 {
            self.clear(tick);
        }
    }

    /// An edge. Those who waited are moved to `due`, for the caller to wake once it holds no lock. `doubt`:
    /// from now on a short read proves nothing.
    pub(crate) fn set(&self, doubt: bool, due: &mut Vec<Waker>) {
        let doubt = if doubt { DOUBT } else { 0 };
        let next = |state: u32| Some(state.wrapping_add(ONE_TICK) | READY | doubt);
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let mut waiters = self.waiters.lock();
        due.extend(waiters.first.take());
        due.append(&mut waiters.more);
    }
}

enum Unused {
    None,
    Duplicate(Waker),
    Displaced(Waker),
}

impl Waiters {
    fn add(&mut self, waker: Waker) -> Unused {
        if self.first.iter().chain(&self.more).any(|present| present.will_wake(&waker)) {
            return Unused::Duplicate(waker);
        }
        let Some(oldest) = &mut self.first else {
            self.first = Some(waker);
            return Unused::None;
        };
        if self.more.len() + 1 < MAX_WAITERS {
            self.more.push(waker);
            return Unused::None;
        }
        let displaced = std::mem::replace(oldest, self.more.remove(0));
        self.more.push(waker);
        Unused::Displaced(displaced)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::driver::wakers::tests::Count;

    fn edge(readiness: &Readiness, doubt: bool) -> usize {
        let mut due = Vec::new();
        readiness.set(doubt, &mut due);
        wakers::wake_all(&mut due)
    }

    #[test]
    fn an_edge_between_would_block_and_clear_is_kept() {
        let readiness = Readiness::new(true);
        let tick = readiness.ready().unwrap();
        // Here the system call says WouldBlock; then bytes arrive and a turn reports them.
        edge(&readiness, false);
        readiness.clear(tick);
        let again = readiness.ready().expect("the edge survives the late clear");
        readiness.clear(again);
        assert_eq!(readiness.ready(), None);
    }

    #[test]
    fn an_edge_between_a_short_read_and_drained_is_kept() {
        let readiness = Readiness::new(true);
        let tick = readiness.ready().unwrap();
        edge(&readiness, false);
        readiness.drained(tick);
        assert!(readiness.ready().is_some());
    }

    #[test]
    fn doubt_outlives_would_block_and_forbids_the_short_cut() {
        let readiness = Readiness::new(false);
        edge(&readiness, true);
        readiness.drained(readiness.ready().unwrap());
        readiness.clear(readiness.ready().expect("a short read in doubt clears nothing"));
        assert_eq!(readiness.ready(), None);
        edge(&readiness, false);
        readiness.drained(readiness.ready().unwrap());
        assert!(readiness.ready().is_some());
    }

    #[test]
    fn an_edge_wakes_every_waiter_once() {
        let readiness = Readiness::new(false);
        let (count, waker) = Count::new();
        let (other, other_waker) = Count::new();
        for _ in 0..3 {
            assert!(readiness.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        }
        assert!(readiness.poll_ready(&mut Context::from_waker(&other_waker)).is_pending());
        assert_eq!(edge(&readiness, false), 2);
        assert_eq!((count.get(), other.get()), (1, 1));
        assert_eq!(edge(&readiness, false), 0);
    }

    #[test]
    fn a_waiter_too_many_wakes_the_oldest_and_takes_its_place() {
        let readiness = Readiness::new(false);
        let all: Vec<_> = (0..MAX_WAITERS + 2).map(|_| Count::new()).collect();
        for (_, waker) in &all {
            assert!(readiness.poll_ready(&mut Context::from_waker(waker)).is_pending());
        }
        let woken = || all.iter().map(|(count, _)| count.get()).collect::<Vec<_>>();
        assert_eq!(woken()[..3], [1, 1, 0]);
        assert_eq!(edge(&readiness, false), MAX_WAITERS);
        assert_eq!(woken(), vec![1; MAX_WAITERS + 2]);
    }

    #[test]
    fn ticks_wrap_without_touching_the_flags() {
        let readiness = Readiness::new(false);
        readiness.state.store(!READY, Ordering::Relaxed);
        edge(&readiness, false);
        assert_eq!(readiness.state.load(Ordering::Relaxed), READY | DOUBT);
    }
}
