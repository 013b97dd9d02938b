//! What a worker thread does: choose a task, run it, and sleep when there is none.
//!
//! # The order of choice
//!
//! Children just spawned go to the **spawn lane** and run newest first; thieves take the oldest, which stand for the
//! largest subtrees. Woken tasks go to the **woken lane** and run oldest first. A parent that is woken by the *end* of
//! what it waited for goes to the spawn lane: in a depth-first order it is next. So do a few of those that I/O wakes while the
//! worker is at work, and whom a task hands over to (`Worker::let_ahead`).
//!
//! # What bounds the wait
//!
//! | who waits | behind whom | at most |
//! |---|---|---|
//! | oldest woken task | newer children | [`SPAWNED_RUN`] picks between two of the woken lane |
//! | remote task, I/O, timers | own tasks | [`FOREIGN_EVERY`] picks between two looks |
//! | oldest child | newer children, for ever | [`OLDEST_WAIT`] or [`OLDEST_LOOKS`], and 2 x [`FOREIGN_EVERY`] picks, then it is taken, unless thieves or idleness come first |
//! | any task | a task that is always ready | its budget ([`budget`]) |
//! | tasks of a worker whose poll does not end; I/O and timers if no poll does | thieves, all of which pause | [`LONGEST`](patience::LONGEST), each time that another mate is stolen from in vain |
//!
//! A pick is one poll of one task; what one poll takes is up to the task.
//!
//! The depth-first order keeps the live tasks of a fully strict program within workers x depth x fan-out (Blumofe and
//! Leiserson, 1999; their thief takes one task, ours siblings, which with what comes below one of them are still one path, and the first that is none).
//! It is kept as long as no child is the oldest for [`OLDEST_WAIT`]: a tree that computes for longer
//! than that takes one task out of order each time, which adds its own path to the bound. On a virtual clock, which stands still
//! while anything can run, that is after millions of picks (`tests/scheduler.rs` asserts the bound there).

mod patience;
mod theft;

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::deque::{Owner, deque};
use super::idle::AfterSearch;
use super::{Config, Mate, Scheduler, budget};
use crate::context;
use crate::driver::Wait;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::task::cell::memory::Spare;
use crate::task::cell::memory::depot::Depot;
use crate::task::cell::{self, Runnable};
use patience::Patience;

/// After so many picks from the spawn lane in a row, one is made from the woken lane.
const SPAWNED_RUN: u32 = 16;
/// Every so many picks, the remote queue comes first and the driver is polled without waiting.
const FOREIGN_EVERY: u32 = 61;
/// The pick before that one: the oldest child is taken if it is overdue.
const OVERDUE_TURN: u32 = FOREIGN_EVERY - 2;
/// How many of the tasks that such a poll wakes go into the spawn lane. Few enough that all of them have run by the next
/// one: nobody who waits for I/O is overtaken for ever.
const AHEAD_MAX: u32 = 16;
/// How long a child may be the oldest of the spawn lane while newer ones run. Long, for the order is what keeps the
/// number of live tasks low; short enough that a server under overload forgets nobody.
const OLDEST_WAIT: Duration = Duration::from_millis(100);
/// The same in looks, of which there is one every [`FOREIGN_EVERY`] picks, for a virtual clock: it stands still while anything can run.
/// Millions of picks, which take longer than the time where that passes.
const OLDEST_LOOKS: u32 = 1 << 15;
/// Rounds over all queues before a searcher parks.
const SEARCH_ROUNDS: usize = if cfg!(any(loom, shuttle)) { 1 } else { 8 };
/// Slots of a lane's first ring.
const LANE_LEN: usize = if cfg!(any(loom, shuttle)) { 2 } else { 256 };

/// A worker thread's own part of the scheduler. Never shared: others see its [`Mate`].
pub(crate) struct Worker {
    scheduler: Arc<Scheduler>,
    index: usize,
    spawned: Owner<Runnable>,
    woken: Owner<Runnable>,
    /// Picks made.
    tick: Cell<u32>,
    /// Picks from the spawn lane since the last one from the woken lane.
    spawned_run: Cell<u32>,
    /// The spawn lane's oldest index when last looked at, and since when and how many looks.
    oldest: Cell<(usize, Option<(Instant, u32)>)>,
    /// Whether this worker is counted as a searcher.
    searching: Cell<bool>,
    /// The lone tasks that this worker has left to its mates, spawned and woken, as of its last look.
    left_alone: Box<[[Cell<Option<usize>>; 2]]>,
    rng: Cell<u32>,
    /// How many of the tasks that are woken next go into the spawn lane, ahead of others that were woken.
    ahead: Cell<u32>,
    patience: Patience,
    /// Memory for tasks.
    spare: Spare,
}

/// Makes a scheduler and its workers; the caller gives each a thread.
pub(crate) fn scheduler(config: &Config) -> std::io::Result<(Arc<Scheduler>, Vec<Worker>)> {
    let mut lanes = Vec::new();
    let mut mates = Vec::new();
    for _ in 0..config.workers {
        let (spawned, spawned_stealer) = deque(LANE_LEN, config.workers > 1);
        let (woken, woken_stealer) = deque(LANE_LEN, config.workers > 1);
        lanes.push((spawned, woken));
        mates.push(Mate { spawned: spawned_stealer, woken: woken_stealer, parker: super::Parker::new() });
    }
    let scheduler = Scheduler::new(mates.into_boxed_slice(), config)?;
    let workers = lanes.into_iter().enumerate().map(|(index, (spawned, woken))| Worker {
        scheduler: scheduler.clone(),
        index,
        spawned,
        woken,
        tick: Cell::new(0),
        spawned_run: Cell::new(0),
        oldest: Cell::new((0, None)),
        searching: Cell::new(false),
        left_alone: (0..config.workers).map(|_| [Cell::new(None), Cell::new(None)]).collect(),
        // Any odd number: workers should not all begin with the same victim.
        rng: Cell::new((index as u32).wrapping_mul(0x9E37_79B9) | 1),
        ahead: Cell::new(0),
        patience: Patience::new(),
        spare: Spare::new(),
    });
    let workers = workers.collect();
    Ok((scheduler, workers))
}

impl Worker {
    /// The worker thread's life.
    pub(crate) fn run(self) {
        self.bind_current_thread();
        // SAFETY: the worker holds the scheduler's `Arc` for as long as its thread uses the reference.
        let home = context::HomeLink::new(unsafe { self.scheduler.to_ref() });
        // SAFETY: `self` and `home` live in this frame and the guard is dropped before them, being declared later.
        let _context = unsafe { context::enter_worker(&self, &home) };
        self.run_until(|| self.scheduler.is_shut_down());
    }

    /// Runs tasks until `stop`, which is asked before each. Whoever makes it true unparks the worker.
    pub(crate) fn run_until(&self, stop: impl Fn() -> bool) {
        while !stop() {
            if let Some(runnable) = self.next() {
                self.run_task(runnable);
            } else if context::count_out() {
                // May have woken a parent, here.
            } else if let Some(runnable) = self.search() {
                self.run_task(runnable);
            } else if self.spin() {
                // There is something, somewhere.
            } else {
                self.park();
            }
        }
    }

    /// The current thread is the worker's from now on.
    pub(crate) fn bind_current_thread(&self) {
        self.mate().parker.bind_current_thread();
    }

    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    #[inline]
    pub(crate) fn spare(&self) -> &Spare {
        &self.spare
    }

    #[inline]
    pub(crate) fn depot(&self) -> &Depot {
        &self.scheduler.depot
    }

    fn run_task(&self, runnable: Runnable) {
        if self.searching.get() {
            self.found();
        }
        self.tick.set(self.tick.get().wrapping_add(1));
        budget::refill();
        cell::run(runnable);
    }

    /// What to run next: the whole policy but for searching. In line at each pick, though a thief that has paused calls it, too.
    #[inline(always)]
    fn next(&self) -> Option<Runnable> {
        let runnable = self
            .due()
            .or_else(|| self.newest_child())
            .or_else(|| self.oldest_woken())
            .or_else(|| self.remote())?;
        self.share();
        Some(runnable)
    }

    /// What is due before its turn, by the bounds in the module's table.
    fn due(&self) -> Option<Runnable> {
        let turn = self.tick.get() % FOREIGN_EVERY;
        if turn >= OVERDUE_TURN
            && let Some(runnable) = self.take_turn(turn)
        {
            return Some(runnable);
        }
        if self.spawned_run.get() >= SPAWNED_RUN { self.oldest_woken() } else { None }
    }

    /// The turns of the remote queue and of the oldest child: two, so that neither holds up the other.
    #[cold]
    fn take_turn(&self, turn: u32) -> Option<Runnable> {
        if turn == OVERDUE_TURN {
            return self.oldest_child_if_overdue();
        }
        self.poll_driver();
        self.remote()
    }

    fn newest_child(&self) -> Option<Runnable> {
        let runnable = self.spawned.pop_newest()?;
        self.spawned_run.set(self.spawned_run.get() + 1);
        Some(runnable)
    }

    fn oldest_woken(&self) -> Option<Runnable> {
        self.spawned_run.set(0);
        self.woken.take_oldest()
    }

    fn oldest_child_if_overdue(&self) -> Option<Runnable> {
        if self.spawned.len() == 0 {
            self.oldest.set((0, None));
            return None;
        }
        let index = self.spawned.oldest_index();
        let now = self.scheduler.now();
        match self.oldest.get() {
            (seen, Some((since, looks))) if seen == index => {
                if now.duration_since(since) < OLDEST_WAIT && looks < OLDEST_LOOKS {
                    self.oldest.set((index, Some((since, looks + 1))));
                    return None;
                }
                self.oldest.set((0, None));
                self.spawned.take_oldest()
            }
            _ => {
                self.oldest.set((index, Some((now, 0))));
                None
            }
        }
    }

    fn remote(&self) -> Option<Runnable> {
        self.scheduler.take_remote()
    }

    /// Wakes a mate if there is more to do here than the task just picked, and nobody looks for it.
    ///
    /// The look at `idle` is without a fence, so it may miss a worker that goes to sleep at this moment; the next
    /// pick looks again. What must not be missed is only that somebody runs the task, and this worker will.
    #[inline]
    fn share(&self) {
        if self.scheduler.idle.wants_wake() && (self.spawned.len() > 0 || self.woken.len() > 0) {
            self.scheduler.wake_one();
        }
    }

    /// Puts a child just spawned into the spawn lane.
    #[inline]
    pub(super) fn push_child(&self, runnable: Runnable) {
        self.spawned.push(runnable);
        // At once, and not at the next pick: the task that spawned it may compute for long before it awaits.
        if self.scheduler.idle.wants_wake() {
            self.scheduler.wake_one();
        }
    }

    /// Puts a woken task into the woken lane; one that waited for the end of the task being run, or is [let
    /// ahead](Self::let_ahead), into the spawn lane. One that was woken while it ran, which is how a task yields, never goes ahead.
    ///
    /// Wakes no mate: most often the task that wakes is about to return, and this worker runs the woken one next,
    /// sooner than another thread could be woken. If there is more, [`share`](Self::share) sees it. Who wakes many, or is
    /// about to run user code that may block, calls [`nudge`](super::Scheduler::nudge).
    #[inline]
    pub(super) fn push_woken(&self, runnable: Runnable, yielded: bool) {
        if !yielded && (context::is_ending() || self.goes_ahead()) {
            self.spawned.push(runnable);
        } else {
            self.woken.push(runnable);
        }
    }

    /// Lets so many of the tasks that are woken next go ahead; gives how many of an earlier such number are left.
    ///
    /// Some of those that a look at the driver between two tasks wakes: what has come in is then read before what is to be
    /// sent is written, and a write carries more. And those of [`hand_over`](super::hand_over).
    pub(super) fn let_ahead(&self, n: u32) -> u32 {
        self.ahead.replace(n)
    }

    fn goes_ahead(&self) -> bool {
        let ahead = self.ahead.get();
        self.ahead.set(ahead.saturating_sub(1));
        ahead > 0
    }

    /// Looks everywhere for work, for a while.
    fn search(&self) -> Option<Runnable> {
        let pause = self.patience.pause(Instant::now);
        if !self.searching.get() {
            if !self.scheduler.idle.start_search() {
                return None;
            }
            self.searching.set(true);
        }
        if let Some(runnable) = pause.and_then(|pause| self.pause(pause)) {
            return Some(runnable);
        }
        // A lone worker has nobody to wait for: a push from outside wakes it.
        let rounds = if self.scheduler.workers.len() > 1 { SEARCH_ROUNDS } else { 1 };
        for round in 0..rounds {
            if let Some(runnable) = self.remote().or_else(|| self.steal()) {
                return Some(runnable);
            }
            // Ever longer, up to 128 pauses, a few microseconds: each look takes cache lines away from mates that are at work.
            for _ in 0..1 << round {
                crate::sync::spin_loop();
            }
        }
        None
    }

    /// Looks on for as long as the runtime's builder was told; `true` if something has come. Still a searcher, so whoever
    /// pushes meanwhile relies on this worker as on any other that searches, and wakes nobody.
    fn spin(&self) -> bool {
        let scheduler = &*self.scheduler;
        if scheduler.spin.is_zero() || !self.searching.get() {
            return false;
        }
        let since = Instant::now();
        while since.elapsed() < scheduler.spin {
            self.poll_driver();
            if scheduler.has_work() || scheduler.is_shut_down() {
                return true;
            }
            crate::sync::spin_loop();
        }
        false
    }

    /// Search is over: there is work.
    fn found(&self) {
        self.searching.set(false);
        if self.scheduler.idle.stop_search() == AfterSearch::WasLast && self.scheduler.has_work() {
            self.scheduler.wake_one();
        }
    }

    /// Sleeps until there may be work. On return this worker searches.
    fn park(&self) {
        let scheduler = &*self.scheduler;
        scheduler.depot.thin_out();
        let was_last = scheduler.idle.park(self.index, self.searching.replace(false));
        // The last look: a push that relied on this worker's search is seen here, or its pusher sees it parked.
        let awake = was_last == AfterSearch::WasLast && (scheduler.has_work() || scheduler.is_shut_down());
        if !awake {
            self.sleep();
        }
        scheduler.idle.leave(self.index);
        self.searching.set(true);
    }

    /// Sleeps in the driver if nobody else does, and otherwise on the thread's own token.
    fn sleep(&self) {
        let scheduler = &*self.scheduler;
        let parker = &self.mate().parker;
        match scheduler.driver.try_turn() {
            Some(turn) => {
                let wait = if scheduler.virtual_clock && scheduler.is_quiescent() {
                    Wait::Quiescent
                } else {
                    Wait::Blocking
                };
                // Relaxed: a hint, see `Idle::claim`.
                scheduler.in_driver.store(self.index, Ordering::Relaxed);
                parker.park_driver(turn, wait);
                // Relaxed: as above.
                scheduler.in_driver.store(usize::MAX, Ordering::Relaxed);
            }
            None => {
                // Whoever has the turn may have taken it before this worker was idle too.
                scheduler.rested();
                parker.park_thread();
            }
        }
    }

    /// Wakes whatever I/O and time have made ready, without waiting.
    fn poll_driver(&self) {
        if self.scheduler.driver.has_work()
            && let Some(mut turn) = self.scheduler.driver.try_turn()
        {
            self.let_ahead(AHEAD_MAX);
            turn.run(Wait::No);
            self.let_ahead(0);
        }
    }

    fn mate(&self) -> &Mate {
        &self.scheduler.workers[self.index]
    }

    /// Xorshift (Marsaglia, 2003).
    fn random(&self) -> u32 {
        let mut x = self.rng.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.rng.set(x);
        x
    }
}
