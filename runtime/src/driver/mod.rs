//! What wakes tasks from outside: sockets, timers, signals.
//!
//! # Actors
//!
//! A driver belongs to one runtime and has no thread of its own. Whichever worker (or root) is idle takes the
//! *turn*, the exclusive right to poll, waits in the kernel, and wakes what is due. Everyone else may at any
//! time arm and cancel timers, register and drop sockets, and interrupt the turn.
//!
//! ```text
//!   worker (sched)       try_turn --> Turn::run(wait) --> block / jump --> doze
//!                                        |                  Bell::doze .. Poller::wait .. Bell::rouse
//!                                        +--> Poller::deliver --> Sockets::deliver --> Readiness::set --+
//!                                        +--> Timers::collect ------------------------------------------+--> due
//!                                        +--> wakers::wake_all(due) --> the tasks' wakers
//!
//!   leaf futures         Sleep --> Driver::{arm, rearm, refresh, cancel} --> Timers --> interrupt if overslept
//!                        TcpStream, Signal --> Registered::{new, poll_io} --> Readiness::{poll_ready, clear}
//!   anyone               Driver::interrupt --> Bell::ring --> Remote::kick
//! ```
//!
//! # Locks
//!
//! | lock | held by | for | may be wanted by a waker |
//! |---|---|---|---|
//! | the seat (the turn itself) | the polling thread | the whole turn | no: only `try_turn` asks for it, and does not wait |
//! | `Timers::heap` | anyone | a few comparisons | yes, so no waker is called, cloned or dropped under it |
//! | `Sockets::table`, then `Readiness::waiters` | anyone, in this order | a lookup | yes, likewise |
//!
//! So a turn first moves every waker that is due into a buffer (kept from turn to turn: a turn allocates
//! nothing), gives all locks but the seat back, and then calls them. A waker may therefore arm timers, drop
//! sockets and interrupt the driver. If it panics the others are called all the same; see [`wakers`].
//!
//! # No timer is slept through
//!
//! A blocking turn reads the earliest deadline and publishes it as `sleeping_until` in one critical section of
//! the timers' lock. Arming takes the same lock. If it comes first, the turn reads the new deadline. If it
//! comes second, it sees a `sleeping_until` later than its own deadline and rings the bell: the turn either has
//! not dozed off yet, and then will not, or is kicked out of the kernel ([`bell`]). Should the turn have ended
//! meanwhile, the ring ends a later one early, for nothing.
//!
//! # Virtual time
//!
//! With [`ClockKind::Virtual`] no wait has a time limit. Time stands still until [`Driver::advance`] moves it,
//! or a [`Wait::Quiescent`] turn finds nothing else to do and jumps to the next deadline. The driver cannot
//! know that all workers are idle, hence two kinds of wait; and so a worker that blocks with
//! [`Wait::Blocking`] has to be interrupted by the last one that goes idle, to come again as quiescent.
//!
//! # After the runtime
//!
//! Sockets and armed timers hold the driver by `Arc`, and may outlive the runtime. They do no harm, but nobody
//! takes a turn any more: a timer never fires, and a socket's calls are made only as long as none would block.

mod bell;
mod clock;
#[cfg_attr(any(loom, shuttle), path = "poller_checked.rs")]
mod poller;
#[cfg_attr(any(loom, shuttle), allow(dead_code))] // There is no socket to use it in a checker, only models.
pub(crate) mod readiness;
#[cfg_attr(any(loom, shuttle), allow(dead_code))] // Likewise.
mod slab;
#[cfg(not(any(loom, shuttle)))]
pub(crate) mod sockets;
mod timers;
mod wakers;

use std::io;
use std::task::Waker;
use std::time::{Duration, Instant};

use bell::Bell;
use clock::NEVER;
pub(crate) use clock::{Clock, ClockKind};
use poller::{Poller, Remote};
pub(crate) use slab::Key;
use timers::{Overslept, Timers};

#[cfg(any(loom, shuttle))]
use poller::sockets::Sockets;
#[cfg(not(any(loom, shuttle)))]
use sockets::Sockets;

use crate::sync::{Arc, TryLock, TryLockGuard};

/// The source of all wake-ups that come from outside a runtime's own tasks.
#[derive(Debug)]
pub(crate) struct Driver {
    clock: Clock,
    timers: Timers,
    sockets: Sockets,
    bell: Bell,
    remote: Remote,
    seat: TryLock<Seat>,
}

/// What only the polling thread touches.
#[derive(Debug)]
struct Seat {
    poller: Poller,
    due: Vec<Waker>,
}

/// How long a turn may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    No,
    /// Until something is due or the driver is interrupted.
    Blocking,
    /// As `Blocking`, and the caller knows that every worker and root of the runtime is idle: a virtual clock
    /// jumps to the next deadline instead of waiting for it.
    Quiescent,
}

impl Driver {
    /// # Errors
    ///
    /// When the kernel has no descriptor left for the poller.
    pub(crate) fn new(clock: ClockKind) -> io::Result<Arc<Self>> {
        let (poller, remote) = poller::open()?;
        Ok(Arc::new(Self {
            clock: Clock::new(clock),
            timers: Timers::new(),
            sockets: Sockets::new(),
            bell: Bell::new(),
            remote,
            seat: TryLock::new(Seat { poller, due: Vec::new() }),
        }))
    }

    /// The exclusive right to poll, unless another thread has it.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_>> {
        self.seat.try_lock().map(|seat| Turn { driver: self, seat })
    }

    /// Makes the present blocking turn, or if there is none the next one, return at once.
    pub(crate) fn interrupt(&self) {
        if self.bell.ring() {
            self.remote.kick();
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Moves a virtual clock forward; what has become due is woken by the next turn, and a blocked one is made
    /// to return. The system's clock cannot be moved: false.
    pub(crate) fn advance(&self, duration: Duration) -> bool {
        let moved = self.clock.advance(duration);
        if moved {
            self.interrupt();
        }
        moved
    }

    /// Whether a socket is registered or a timer armed. A hint, for skipping turns that would not wait: one may
    /// be registered from another runtime's thread right after it said no, so a worker that is about to sleep
    /// sleeps in the driver whatever it says.
    pub(crate) fn has_work(&self) -> bool {
        self.sockets.count() + self.timers.count() > 0
    }

    /// Wakes `waker` once `deadline` is reached. None: that is never.
    pub(crate) fn arm(&self, deadline: Instant, waker: &Waker) -> Option<Key> {
        let deadline = self.clock.tick_of(deadline);
        if deadline == NEVER {
            return None;
        }
        let (key, overslept) = self.timers.arm(deadline, waker.clone());
        self.wake_sleeper(overslept);
        Some(key)
    }

    /// Moves an armed timer. False: it has fired, or the deadline is never (and then it is disarmed).
    pub(crate) fn rearm(&self, key: Key, deadline: Instant) -> bool {
        let deadline = self.clock.tick_of(deadline);
        if deadline == NEVER {
            self.timers.cancel(key);
            return false;
        }
        match self.timers.rearm(key, deadline) {
            Some(overslept) => {
                self.wake_sleeper(overslept);
                true
            }
            None => false,
        }
    }

    /// Makes an armed timer wake `waker` instead. False: it has fired.
    pub(crate) fn refresh(&self, key: Key, waker: &Waker) -> bool {
        self.timers.refresh(key, waker)
    }

    /// Disarms a timer; one that has fired is left as it is.
    pub(crate) fn cancel(&self, key: Key) {
        self.timers.cancel(key);
    }

    fn wake_sleeper(&self, Overslept(overslept): Overslept) {
        if overslept {
            self.interrupt();
        }
    }
}

/// The exclusive right to poll, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    driver: &'a Driver,
    seat: TryLockGuard<'a, Seat>,
}

impl Turn<'_> {
    /// Waits, then wakes everything that is due. Returns how many wakers were called; zero is ordinary: after an
    /// interruption, or when what happened concerned nobody.
    pub(crate) fn run(&mut self, wait: Wait) -> usize {
        let driver = self.driver;
        let Seat { poller, due } = &mut *self.seat;
        match wait {
            Wait::No => driver.poll_sockets(poller, due),
            Wait::Quiescent if driver.clock.is_virtual() => driver.jump(poller, due),
            Wait::Blocking | Wait::Quiescent => driver.block(poller, due),
        }
        driver.timers.collect(|| driver.clock.tick(), due);
        wakers::wake_all(due)
    }
}

impl Driver {
    /// Takes what the kernel has without waiting; without sockets that is nothing, and the call is saved.
    fn poll_sockets(&self, poller: &mut Poller, due: &mut Vec<Waker>) {
        if self.sockets.count() > 0 {
            poller.wait(Some(Duration::ZERO));
            poller.deliver(&self.sockets, due);
        }
    }

    fn block(&self, poller: &mut Poller, due: &mut Vec<Waker>) {
        // Published before the bell: see "No timer is slept through".
        let deadline = self.timers.next_before_sleep();
        if deadline == NEVER {
            return self.doze(poller, due, None);
        }
        match deadline.checked_sub(self.clock.tick()) {
            None | Some(0) => self.poll_sockets(poller, due),
            Some(_) if self.clock.is_virtual() => self.doze(poller, due, None),
            Some(nanoseconds) => self.doze(poller, due, Some(Duration::from_nanos(nanoseconds))),
        }
    }

    /// A quiescent turn on a virtual clock: I/O that is ready comes first, then a ring, then the next deadline.
    fn jump(&self, poller: &mut Poller, due: &mut Vec<Waker>) {
        self.poll_sockets(poller, due);
        if !due.is_empty() {
            return;
        }
        match self.timers.next_before_sleep() {
            // Read and published at once: whoever arms a timer from here on rings.
            NEVER => self.doze(poller, due, None),
            deadline => {
                if !self.bell.rouse() {
                    self.clock.advance_to(deadline);
                }
            }
        }
    }

    /// Waits in the kernel, unless the bell was rung. `timeout` reaches to the deadline published before; none: no
    /// time limit.
    fn doze(&self, poller: &mut Poller, due: &mut Vec<Waker>, timeout: Option<Duration>) {
        if self.bell.doze() {
            poller.wait(timeout);
            poller.deliver(&self.sockets, due);
        } else {
            self.poll_sockets(poller, due);
        }
        self.bell.rouse();
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
