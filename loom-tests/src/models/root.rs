//! The blocked root's flag (`RootSignal` in `tree/root.rs`).

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use treescope::model::{AwakeRoots, Signal};

use super::{ALL, Model};
use crate::bugs::ROOT_SLEEPS_ON;
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "root::wake_against_sleep",
        checks: "a wake while the root goes to sleep, twice in a row",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: wake_against_sleep,
        bug: "the sleeping root is not notified",
        seed: ROOT_SLEEPS_ON,
    },
    Model {
        name: "root::two_wakers",
        checks: "two wakes at once; a waker is dropped after the root is gone",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: two_wakers,
        bug: "the sleeping root is not notified",
        seed: ROOT_SLEEPS_ON,
    },
    Model {
        name: "root::rest_publishes",
        checks: "who sees no root awake sees what each had pushed before it fell asleep",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: rest_publishes,
        bug: "a root that falls asleep publishes nothing",
        seed: Seed::Operation {
            file: "sched/mod.rs",
            anchor: "Release: pairs with Acquire in `is_none`",
            operation: "fetch_sub",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
];

fn wake_against_sleep() {
    let signal = Signal::new();
    let waker = signal.waker();
    let steps = Arc::new(AtomicUsize::new(0));
    let other = thread::spawn({
        let steps = steps.clone();
        move || {
            for step in 1..=2 {
                steps.store(step, Ordering::Relaxed);
                waker.wake_by_ref();
            }
        }
    });
    // Two wakes may be one, but what was done before the last one is seen after the last sleep.
    while steps.load(Ordering::Relaxed) < 2 {
        signal.sleep();
    }
    other.join().unwrap();
}

fn rest_publishes() {
    let roots = Arc::new(AwakeRoots::new());
    let pushed = Arc::new(AtomicUsize::new(0));
    roots.enter();
    roots.enter();
    let others = [(); 2].map(|()| {
        let (roots, pushed) = (roots.clone(), pushed.clone());
        thread::spawn(move || {
            pushed.fetch_add(1, Ordering::Relaxed);
            roots.leave();
        })
    });
    if roots.is_none() {
        assert_eq!(
            pushed.load(Ordering::Relaxed),
            2,
            "the clock would jump past a task that lies in the queue"
        );
    }
    for thread in others {
        thread.join().unwrap();
    }
}

fn two_wakers() {
    let signal = Signal::new();
    let steps = Arc::new(AtomicUsize::new(0));
    let others = [(); 2].map(|()| {
        let (waker, steps) = (signal.waker(), steps.clone());
        thread::spawn(move || {
            steps.fetch_add(1, Ordering::Relaxed);
            waker.wake();
        })
    });
    while steps.load(Ordering::Relaxed) < 2 {
        signal.sleep();
    }
    drop(signal);
    for thread in others {
        thread.join().unwrap();
    }
}
