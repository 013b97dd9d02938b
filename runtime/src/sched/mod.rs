//! Who runs when.
//!
//! ```text
//!   Scope::spawn ──schedule_child──▶ own spawn lane (newest first) ─┐
//!   Waker::wake ──schedule_woken──▶  own woken lane (oldest first) ─┤
//!     (from a thread that is no worker)                             ├─▶ Worker::next ─▶ task::cell::run
//!   schedule_foreign ─────────────▶  remote queue ──────────────────┤
//!                                    another worker's lanes ──steal─┘
//! ```
//!
//! - [`worker`]: what a worker thread does; [`worker::Worker::next`] is the order of choice, in one function
//! - [`deque`]: a lane: growable, stealable
//! - [`idle`], [`parker`]: who searches, who sleeps, whom a push wakes; argued in `README.md` beside this file
//! - [`budget`]: an always-ready task yields
//! - [`hand_over`]: a task's hint whom to run next
//! - [`blocking`]: the bounded pool of threads for closures that block
//!
//! The rest of the crate knows the scheduler through [`SchedRef`] alone: three ways in for a task, and the driver.

pub(crate) mod blocking;
pub(crate) mod budget;
pub(crate) mod deque;
pub(crate) mod hand_over;
pub(crate) mod idle;
pub(crate) mod parker;
pub(crate) mod worker;

use std::io;
use std::ptr::NonNull;
use std::task::Waker;
use std::time::{Duration, Instant};

use concurrent_queue::ConcurrentQueue;

use crate::context;
pub(crate) use crate::driver::Key as TimerKey;
use crate::driver::{ClockKind, Driver};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::task::cell::Runnable;
use crate::task::cell::memory::depot::Depot;
use crate::tree::listing::MarksMade;
use blocking::BlockingPool;
use deque::Stealer;
use idle::Idle;
use parker::Parker;

/// What a runtime's threads share.
pub(crate) struct Scheduler {
    /// One per worker.
    workers: Box<[Mate]>,
    /// Tasks spawned or woken by threads that are no workers of this scheduler.
    remote: ConcurrentQueue<Runnable>,
    idle: Idle,
    driver: Arc<Driver>,
    /// The worker that sleeps in the driver, a hint; `usize::MAX` if none.
    in_driver: AtomicUsize,
    blocking: BlockingPool,
    /// Foreign threads inside [`schedule_foreign`](SchedRef::schedule_foreign).
    visitors: Visitors,
    roots_awake: AwakeRoots,
    virtual_clock: bool,
    marks: MarksMade,
    /// Memory of tasks, for all workers.
    depot: Depot,
    /// How long a worker looks on before it sleeps.
    spin: Duration,
    shutdown: AtomicBool,
}

/// What a worker's mates see of it.
struct Mate {
    spawned: Stealer<Runnable>,
    woken: Stealer<Runnable>,
    parker: Parker,
}

/// A scheduler's address, as tasks and nodes carry it.
///
/// Invariant, which every holder keeps: the scheduler is used only while it is alive. A runtime is dropped after its
/// last root has returned, so whoever belongs to a live tree (a node, a queued or running task, a thread that has one
/// in hand) may use it, and a thread of the blocking pool may until it has left [`BlockingPool::work`]. A task's waker may be older than that: it uses the address only with a `Runnable` in hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SchedRef(NonNull<Scheduler>);

// SAFETY: a shared reference to a `Sync` type, without its lifetime.
unsafe impl Send for SchedRef {}
// SAFETY: as above.
unsafe impl Sync for SchedRef {}

impl std::ops::Deref for SchedRef {
    type Target = Scheduler;

    #[inline]
    fn deref(&self) -> &Scheduler {
        // SAFETY: alive whenever it is used, by the type's invariant.
        unsafe { self.0.as_ref() }
    }
}

impl SchedRef {
    /// Queues a child just spawned: newest first on the worker that spawned it.
    #[inline]
    pub(crate) fn schedule_child(self, runnable: Runnable) {
        let mut runnable = Some(runnable);
        context::with_worker_of(self, |worker| {
            if let Some(runnable) = runnable.take() {
                worker.push_child(runnable);
            }
        });
        if let Some(runnable) = runnable {
            self.schedule_foreign(runnable);
        }
    }

    /// Queues a task that was woken: oldest first on the worker that woke it.
    #[inline]
    pub(crate) fn schedule_woken(self, runnable: Runnable, yielded: bool) {
        let mut runnable = Some(runnable);
        context::with_worker_of(self, |worker| {
            if let Some(runnable) = runnable.take() {
                worker.push_woken(runnable, yielded);
            }
        });
        if let Some(runnable) = runnable {
            self.schedule_foreign(runnable);
        }
    }

    /// Queues a task that is one blocking call.
    pub(crate) fn schedule_blocking(self, runnable: Runnable) {
        if let Err(runnable) = self.blocking.submit(self, runnable) {
            // No thread is to be had. A worker that blocks for a while is better than a child that never runs.
            self.schedule_child(runnable);
        }
    }

    /// Queues a task from a thread that is no worker.
    ///
    /// Once pushed, the task may run, the root may return and the runtime be dropped while this thread is still
    /// about to wake a worker. So it signs in first, which it may, having the `Runnable` in hand, and the
    /// scheduler's end waits for it to sign out.
    fn schedule_foreign(self, runnable: Runnable) {
        let scheduler: &Scheduler = &self;
        scheduler.visitors.enter();
        if scheduler.remote.push(runnable).is_err() {
            unreachable!("the remote queue is unbounded and never closed");
        }
        if scheduler.idle.after_push() {
            scheduler.wake_one();
        }
        // The last touch.
        scheduler.visitors.leave();
    }
}

impl Scheduler {
    /// Makes a scheduler for as many workers as there are `mates`.
    fn new(mates: Box<[Mate]>, config: &Config) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            idle: Idle::new(mates.len()),
            workers: mates,
            remote: ConcurrentQueue::unbounded(),
            driver: Driver::new(config.clock)?,
            in_driver: AtomicUsize::new(usize::MAX),
            blocking: BlockingPool::new(config.blocking_threads, config.thread_name.clone()),
            visitors: Visitors::new(),
            roots_awake: AwakeRoots::new(),
            virtual_clock: matches!(config.clock, ClockKind::Virtual),
            marks: MarksMade::new(),
            depot: Depot::new(),
            spin: config.spin,
            shutdown: AtomicBool::new(false),
        }))
    }

    /// The address for tasks and nodes.
    ///
    /// # Safety
    /// The caller keeps [`SchedRef`]'s invariant.
    pub(crate) unsafe fn to_ref(&self) -> SchedRef {
        SchedRef(NonNull::from(self))
    }

    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }

    #[inline]
    pub(crate) fn depot(&self) -> &Depot {
        &self.depot
    }

    /// How many marks have been made in the trees of this runtime.
    #[inline]
    pub(crate) fn marks(&self) -> &MarksMade {
        &self.marks
    }

    // ---- time, as the tree uses it -------------------------------------------------------------------------

    /// The present instant on the runtime's clock.
    pub(crate) fn now(&self) -> Instant {
        self.driver.clock().now()
    }

    /// Has `waker` woken at `deadline`; `None` if that is never.
    pub(crate) fn arm(&self, deadline: Instant, waker: &Waker) -> Option<TimerKey> {
        self.driver.arm(deadline, waker)
    }

    /// Disarms a timer; one that has fired is left as it is.
    pub(crate) fn disarm(&self, key: TimerKey) {
        self.driver.cancel(key);
    }

    pub(crate) fn worker_count(&self) -> usize {
        self.workers.len()
    }

    /// Sees to it that somebody looks for what has just been woken, even if this worker should not come to it: the task
    /// it runs is being aborted, say, and a destructor of its may wait for what was woken.
    pub(crate) fn nudge(&self) {
        if self.idle.after_push() {
            self.wake_one();
        }
    }

    /// Wakes a parked worker, unless somebody searches already.
    #[cold]
    fn wake_one(&self) {
        // Relaxed: a hint.
        if let Some(worker) = self.idle.claim(self.in_driver.load(Ordering::Relaxed)) {
            self.workers[worker].parker.unpark(&self.driver);
        }
    }

    /// Takes what has lain longest in the remote queue.
    pub(crate) fn take_remote(&self) -> Option<Runnable> {
        self.remote.pop().ok()
    }

    /// Whether any queue has a task.
    fn has_work(&self) -> bool {
        !self.remote.is_empty()
            || self.workers.iter().any(|mate| mate.spawned.len() > 0 || mate.woken.len() > 0)
    }

    /// Whether nothing can happen but by I/O, time or a foreign thread: every worker is parked, every root asleep,
    /// no blocking call is under way. Of interest to a virtual clock, which jumps then.
    fn is_quiescent(&self) -> bool {
        self.idle.all_parked() && self.roots_awake.is_none() && self.blocking.is_idle() && !self.has_work()
    }

    /// A root that slept is woken, and awake from here on: were it counted by its own thread, which has yet to run, a
    /// virtual clock could jump meanwhile.
    pub(crate) fn root_woken(&self) {
        self.roots_awake.enter();
    }

    /// Something became idle: under a virtual clock, whoever sleeps in the driver looks again whether time may jump.
    fn rested(&self) {
        if self.virtual_clock {
            self.driver.interrupt();
        }
    }

    /// Tells all workers to return, and waits for foreign threads that are still inside.
    pub(crate) fn shut_down(&self) {
        // Relaxed: hands nothing over, and `unpark` publishes it to whoever sleeps or is about to.
        self.shutdown.store(true, Ordering::Relaxed);
        for mate in &self.workers {
            mate.parker.unpark(&self.driver);
        }
        self.visitors.wait_until_none();
    }

    /// Wakes the thread of a local root, which is this scheduler's only worker.
    pub(crate) fn unpark_local_root(&self) {
        for mate in &self.workers {
            mate.parker.unpark(&self.driver);
        }
    }

    fn is_shut_down(&self) -> bool {
        // Relaxed: see `shut_down`.
        self.shutdown.load(Ordering::Relaxed)
    }

    pub(crate) fn blocking(&self) -> &BlockingPool {
        &self.blocking
    }
}

/// How a scheduler is set up.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) workers: usize,
    pub(crate) thread_name: String,
    pub(crate) stack_size: Option<usize>,
    pub(crate) blocking_threads: usize,
    pub(crate) clock: ClockKind,
    pub(crate) spin: Duration,
}

/// Counts foreign threads between taking a `Runnable` in hand and their last touch of the scheduler.
#[derive(Debug)]
pub(crate) struct Visitors(AtomicUsize);

impl Visitors {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    pub(crate) fn enter(&self) {
        // Relaxed: the visitor has a `Runnable` in hand, without which the tree, and so the scheduler, cannot end;
        // the push that gives it away orders this before the end.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        // Release: pairs with Acquire in `wait_until_none`: all the visitor's touches come before.
        self.0.fetch_sub(1, Ordering::Release);
    }

    /// Waits for the few instructions, or the one system call, that a visitor may still be busy with.
    pub(crate) fn wait_until_none(&self) {
        // Acquire: pairs with Release in `leave`.
        while self.0.load(Ordering::Acquire) != 0 {
            crate::sync::thread::yield_now();
        }
    }
}

/// Counts roots whose thread is awake. Of interest to a virtual clock alone.
#[derive(Debug)]
pub(crate) struct AwakeRoots(AtomicUsize);

impl AwakeRoots {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    pub(crate) fn enter(&self) {
        // Relaxed: a root that begins or wakes up hands nothing over.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        // Release: pairs with Acquire in `is_none`: what the root pushed before it slept.
        self.0.fetch_sub(1, Ordering::Release);
    }

    pub(crate) fn is_none(&self) -> bool {
        // Acquire: pairs with Release in `leave`: the look at the queues that follows misses nothing of a root's.
        self.0.load(Ordering::Acquire) == 0
    }
}

/// A root's thread, as the scheduler counts it: awake but from [`falls_asleep`](RootRest::falls_asleep) until whoever
/// wakes it says [`Scheduler::root_woken`].
pub(crate) struct RootRest<'a> {
    sched: SchedRef,
    _root: std::marker::PhantomData<&'a ()>,
}

impl RootRest<'_> {
    pub(crate) fn new(sched: SchedRef) -> Self {
        sched.roots_awake.enter();
        Self { sched, _root: std::marker::PhantomData }
    }

    /// The root's thread is about to sleep. Returns on whom its waker has to call `root_woken`.
    pub(crate) fn falls_asleep(&self) -> SchedRef {
        self.sched.roots_awake.leave();
        self.sched.rested();
        self.sched
    }
}

impl Drop for RootRest<'_> {
    fn drop(&mut self) {
        self.sched.roots_awake.leave();
        self.sched.rested();
    }
}
