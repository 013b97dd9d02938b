//! Those who sleep and what wakes them: `sched/idle.rs`, `sched/parker.rs`, `driver/`.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::driver::ClockKind;
use crate::sched;
use crate::sync::Arc;

pub struct Idle(sched::idle::Idle);

impl Idle {
    pub fn new(workers: usize) -> Self {
        Self(sched::idle::Idle::new(workers))
    }

    pub fn after_push(&self) -> bool {
        self.0.after_push()
    }

    pub fn claim(&self, in_driver: usize) -> Option<usize> {
        self.0.claim(in_driver)
    }

    pub fn start_search(&self) -> bool {
        self.0.start_search()
    }

    /// Whether the caller was the last searcher.
    pub fn stop_search(&self) -> bool {
        self.0.stop_search() == sched::idle::AfterSearch::WasLast
    }

    /// Whether the caller was the last searcher.
    pub fn park(&self, worker: usize, searching: bool) -> bool {
        self.0.park(worker, searching) == sched::idle::AfterSearch::WasLast
    }

    pub fn leave(&self, worker: usize) {
        self.0.leave(worker);
    }
}

pub struct Driver(Arc<crate::driver::Driver>);

/// What an armed timer is known by.
#[derive(Clone, Copy)]
pub struct Timer(sched::TimerKey);

impl Driver {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(crate::driver::Driver::new(ClockKind::System).expect("no system resource is needed under loom"))
    }
}

impl Driver {
    /// With a virtual clock, which stands still unless it is moved.
    pub fn with_virtual_clock() -> Self {
        Self(crate::driver::Driver::new(ClockKind::Virtual).expect("no system resource is needed under loom"))
    }

    /// Lets `waker` be woken once the clock is `after` further.
    pub fn arm(&self, after: Duration, waker: &Waker) -> Timer {
        let deadline = self.0.clock().now() + after;
        Timer(self.0.arm(deadline, waker).expect("not never"))
    }

    /// Disarms a timer; one that has fired is left as it is.
    pub fn cancel(&self, timer: Timer) {
        self.0.cancel(timer.0);
    }

    /// Moves the clock.
    pub fn advance(&self, duration: Duration) {
        assert!(self.0.advance(duration), "the clock is virtual");
    }

    pub fn interrupt(&self) {
        self.0.interrupt();
    }

    /// Takes a turn that blocks, unless somebody else has it; `quiescent`: the clock may jump.
    pub fn turn(&self, quiescent: bool) -> bool {
        let Some(mut turn) = self.0.try_turn() else { return false };
        turn.run(if quiescent { crate::driver::Wait::Quiescent } else { crate::driver::Wait::Blocking });
        true
    }
}

pub struct Parker(sched::parker::Parker);

impl Parker {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(sched::parker::Parker::new())
    }

    pub fn bind_current_thread(&self) {
        self.0.bind_current_thread();
    }

    pub fn park_thread(&self) {
        self.0.park_thread();
    }

    /// Sleeps in the driver, and says `false` at once if somebody else has it.
    pub fn park_driver(&self, driver: &Driver) -> bool {
        let Some(turn) = driver.0.try_turn() else { return false };
        self.0.park_driver(turn, crate::driver::Wait::Blocking);
        true
    }

    pub fn unpark(&self, driver: &Driver) {
        self.0.unpark(&driver.0);
    }
}

/// What a caller of a socket found, for [`Readiness::clear`].
pub struct Tick(crate::driver::readiness::Tick);

/// One direction of one socket.
pub struct Readiness(crate::driver::readiness::Readiness);

impl Readiness {
    pub fn new(ready: bool) -> Self {
        Self(crate::driver::readiness::Readiness::new(ready))
    }

    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Tick> {
        self.0.poll_ready(cx).map(Tick)
    }

    pub fn clear(&self, tick: Tick) {
        self.0.clear(tick.0);
    }

    /// An edge. Wakes who waits.
    pub fn set(&self) {
        let mut due = Vec::new();
        self.0.set(false, &mut due);
        due.into_iter().for_each(Waker::wake);
    }
}
