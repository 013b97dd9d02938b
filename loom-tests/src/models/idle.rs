//! Who sleeps and whom a push wakes (`sched/idle.rs`, `sched/parker.rs`), with a counter in place of the queues.
//!
//! The workers here play `Worker::run`: search, park, look once more, sleep, leave. The queue's own accesses are
//! Relaxed, so that the protocol's fences must do all the ordering. A lost wake-up is a deadlock, which loom reports.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use treescope::model::{Driver, Idle, Parker};

use super::{ALL, Model, bug};
use crate::bugs::WORKER_SLEEPS_ON;
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "idle::push_against_sleep",
        checks: "a foreign push while the last worker goes to sleep on its thread",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: push_against_sleep,
        bug: "no fence between a worker's announcement that it parks and its last look",
        seed: Seed::Operation {
            file: "sched/idle.rs",
            anchor: "drop(parked);\n        // SeqCst: pairs with the fence in `after_push`",
            operation: "fence",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "idle::two_pushes_against_sleep",
        checks: "two pushes in a row: the second relies on the worker that the first woke",
        threads: 2,
        quick: Some(5),
        full: 8,
        body: two_pushes_against_sleep,
        bug: "no fence between a push and the look at who sleeps",
        seed: Seed::Operation {
            file: "sched/idle.rs",
            anchor: "pub(crate) fn after_push",
            operation: "fence",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "idle::push_against_driver",
        checks: "a foreign push while the last worker goes to sleep in the driver",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: push_against_driver,
        bug: "a wake does not reach the parker's state",
        seed: WORKER_SLEEPS_ON,
    },
    Model {
        name: "idle::last_look",
        checks: "a push that sees the worker awake is seen by its last look",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: push_against_sleep,
        bug: "a worker that parks does not look at the queues once more",
        seed: Seed::Caller("no last look"),
    },
    Model {
        name: "idle::found_work_and_there_is_more",
        checks: "a searcher that finds work wakes another one for the push that relied on it",
        threads: 3,
        quick: Some(3),
        full: 5,
        body: found_work_and_there_is_more,
        bug: "a searcher that finds work does not look whether there is more",
        seed: Seed::Caller("no look after the search"),
    },
    Model {
        name: "idle::two_workers_one_push",
        checks: "one worker in the driver, one on its thread: the push wakes either",
        threads: 3,
        quick: Some(3),
        full: 5,
        body: two_workers_one_push,
        bug: "a worker's way to bed is a read and a write",
        seed: Seed::Operation {
            file: "sched/parker.rs",
            anchor: "fn lie_down(",
            operation: "compare_exchange",
            fault: Fault::Split,
        },
    },
    Model {
        name: "idle::parker_hands_over",
        checks: "what was written before a wake is seen after the sleep, whether or not it slept",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: parker_hands_over,
        bug: "a wake publishes nothing",
        seed: Seed::Operation {
            file: "sched/parker.rs",
            anchor: "pub(crate) fn unpark(",
            operation: "swap",
            fault: Fault::Weaken(0, "Acquire"),
        },
    },
];

/// What the workers and the pusher share.
struct Shared {
    /// Tasks that lie in the queue, and, above, workers that are to go home.
    queue: AtomicUsize,
    idle: Idle,
    parkers: Vec<Parker>,
    driver: Driver,
}

const NOBODY: usize = usize::MAX;

impl Shared {
    fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: AtomicUsize::new(0),
            idle: Idle::new(workers),
            parkers: (0..workers).map(|_| Parker::new()).collect(),
            driver: Driver::new(),
        })
    }

    fn push(&self) {
        self.queue.fetch_add(1, Ordering::Relaxed);
        if self.idle.after_push() {
            self.wake_one();
        }
    }

    fn wake_one(&self) {
        if let Some(worker) = self.idle.claim(NOBODY) {
            self.parkers[worker].unpark(&self.driver);
        }
    }

    /// Not atomic with what comes before, as a look at several queues is not.
    fn has_work(&self) -> bool {
        self.queue.load(Ordering::Relaxed) > 0
    }

    fn take(&self) -> bool {
        let down = |tasks: usize| tasks.checked_sub(1);
        self.queue.fetch_update(Ordering::Relaxed, Ordering::Relaxed, down).is_ok()
    }

    /// A worker's life until it has found one task, and run it.
    fn find_one(&self, worker: usize, in_driver: bool, mut searching: bool) {
        self.parkers[worker].bind_current_thread();
        loop {
            searching = searching || self.idle.start_search();
            if self.take() {
                if searching && self.idle.stop_search() && self.has_work() && !bug("no look after the search")
                {
                    self.wake_one();
                }
                return;
            }
            let was_last = self.idle.park(worker, searching);
            let awake = was_last && self.has_work() && !bug("no last look");
            let slept = awake || (in_driver && self.parkers[worker].park_driver(&self.driver));
            if !slept {
                self.parkers[worker].park_thread();
            }
            self.idle.leave(worker);
            searching = true;
        }
    }
}

fn push_against_sleep() {
    let shared = Shared::new(1);
    let worker = thread::spawn({
        let shared = shared.clone();
        move || shared.find_one(0, false, false)
    });
    shared.push();
    worker.join().unwrap();
}

fn two_pushes_against_sleep() {
    let shared = Shared::new(1);
    let worker = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.find_one(0, false, false);
            shared.find_one(0, false, false);
        }
    });
    shared.push();
    shared.push();
    worker.join().unwrap();
}

fn push_against_driver() {
    let shared = Shared::new(1);
    let worker = thread::spawn({
        let shared = shared.clone();
        move || shared.find_one(0, true, false)
    });
    shared.push();
    worker.join().unwrap();
}

fn found_work_and_there_is_more() {
    let shared = Shared::new(2);
    // The other worker sleeps already, or is about to.
    let _ = shared.idle.park(1, false);
    let mate = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.parkers[1].bind_current_thread();
            shared.parkers[1].park_thread();
            shared.idle.leave(1);
            shared.find_one(1, false, true);
        }
    });
    let pusher = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.push();
            shared.push();
        }
    });
    assert!(shared.idle.start_search(), "nobody searches yet");
    shared.find_one(0, false, true);
    // The task that was found blocks until the other one has been run.
    mate.join().unwrap();
    pusher.join().unwrap();
}

fn two_workers_one_push() {
    let shared = Shared::new(2);
    // Whoever finds the task sends the other one home by a second push.
    let workers = [0, 1].map(|worker| {
        let shared = shared.clone();
        thread::spawn(move || {
            shared.find_one(worker, true, false);
            if shared.queue.load(Ordering::Relaxed) == 0 {
                shared.push();
            }
        })
    });
    shared.push();
    for thread in workers {
        thread.join().unwrap();
    }
}

fn parker_hands_over() {
    let parker = Arc::new(Parker::new());
    let letter = Arc::new(AtomicUsize::new(0));
    let driver = Driver::new();
    let sleeper = thread::spawn({
        let (parker, letter) = (parker.clone(), letter.clone());
        move || {
            parker.bind_current_thread();
            parker.park_thread();
            assert_eq!(letter.load(Ordering::Relaxed), 1, "the wake came without what was written before it");
        }
    });
    letter.store(1, Ordering::Relaxed);
    parker.unpark(&driver);
    sleeper.join().unwrap();
}
