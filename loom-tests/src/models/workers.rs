//! Whole workers (`Worker::run`, `SchedRef::schedule_child` and what they use) with tasks that belong to no tree.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use treescope::model::{Crew, Signal};

use super::{ALL, Model, all_is_shown, asleep};
use crate::bugs::WORKER_SLEEPS_ON;
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "workers::start_and_stop",
        checks: "a shutdown while the worker goes to sleep",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: start_and_stop,
        bug: "the shutdown leaves no mark",
        seed: Seed::Operation {
            file: "sched/mod.rs",
            anchor: "self.shutdown.store(",
            operation: "store",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "workers::push_against_sleep",
        checks: "a foreign spawn while the only worker goes to sleep",
        threads: 2,
        quick: Some(6),
        full: 7,
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
        name: "workers::foreign_wake",
        checks: "a foreign wake of a task that is parking, then the shutdown",
        threads: 2,
        quick: Some(4),
        full: 6,
        body: foreign_wake,
        bug: "a wake does not reach a worker that sleeps",
        seed: WORKER_SLEEPS_ON,
    },
    Model {
        name: "workers::two_workers",
        checks: "two tasks for two workers",
        threads: 3,
        quick: Some(2),
        full: 3,
        body: two_workers,
        bug: "a wake does not reach the parker's state",
        seed: WORKER_SLEEPS_ON,
    },
    Model {
        name: "workers::both_lanes",
        checks: "a task leaves one child in its worker's spawn lane and itself in the woken one; mates take either",
        threads: 3,
        quick: Some(2),
        full: 3,
        body: both_lanes,
        bug: "a push to a lane is published without the item's contents",
        seed: Seed::Operation {
            file: "sched/deque.rs",
            anchor: "shared.bottom.0.store(bottom.wrapping_add(1)",
            operation: "store",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
];

fn start_and_stop() {
    Crew::start(1).stop();
}

/// Counts up and wakes.
async fn count(done: Arc<AtomicUsize>, waker: Waker) {
    done.fetch_add(1, Ordering::Relaxed);
    waker.wake();
}

fn push_against_sleep() {
    let crew = Crew::start(1);
    let signal = Signal::new();
    let done = Arc::new(AtomicUsize::new(0));
    crew.entrance().push(count(done.clone(), signal.waker()));
    signal.sleep();
    assert_eq!(done.load(Ordering::Relaxed), 1);
    crew.stop();
}

fn foreign_wake() {
    let crew = Crew::start(1);
    let signal = Signal::new();
    let ready = Arc::new(AtomicBool::new(false));
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let waits = {
        let (ready, waker) = (ready.clone(), waker.clone());
        poll_fn(move |cx| {
            *waker.lock().unwrap() = Some(cx.waker().clone());
            if ready.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        })
    };
    let ended = signal.waker();
    crew.entrance().push(async move {
        waits.await;
        ended.wake();
    });
    ready.store(true, Ordering::Relaxed);
    let parked = waker.lock().unwrap().take();
    if let Some(waker) = parked {
        waker.wake();
    }
    signal.sleep();
    crew.stop();
}

fn both_lanes() {
    let crew = asleep(|| Crew::start(2));
    let signal = Signal::new();
    let done = Arc::new(AtomicUsize::new(0));
    let (entrance, child, own, waker) = (crew.entrance(), done.clone(), done.clone(), signal.waker());
    entrance.push(async move {
        entrance.push(count(child, waker.clone()));
        treescope::yield_now().await;
        count(own, waker).await;
    });
    while done.load(Ordering::Relaxed) < 2 {
        signal.sleep();
    }
    all_is_shown();
    crew.stop();
}

fn two_workers() {
    let crew = asleep(|| Crew::start(2));
    let signal = Signal::new();
    let done = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        crew.entrance().push(count(done.clone(), signal.waker()));
    }
    while done.load(Ordering::Relaxed) < 2 {
        signal.sleep();
    }
    all_is_shown();
    crew.stop();
}
