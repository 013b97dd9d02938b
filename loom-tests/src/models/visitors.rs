//! Foreign threads inside the scheduler against its end (`Visitors` in `sched/mod.rs`).
//!
//! A cell stands for the scheduler's memory: visitors read it until they leave, its end writes it.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use treescope::model::Visitors;

use super::{ALL, Model, bug};
use crate::bugs::SILENT_VISIT;
use crate::seed::{Fault, Seed};

const FILE: &str = "sched/mod.rs";

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "visitors::last_touch",
        checks: "the scheduler ends after a foreign waker's last touch of it",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: || visit(1),
        bug: "a visitor signs out without publishing what it did",
        seed: SILENT_VISIT,
    },
    Model {
        name: "visitors::two",
        checks: "two foreign wakers, one end",
        threads: 3,
        quick: Some(4),
        full: 6,
        body: || visit(2),
        bug: "signing in is a read and a write",
        seed: Seed::Operation {
            file: FILE,
            anchor: "the push that gives it away orders this before the end",
            operation: "fetch_add",
            fault: Fault::Split,
        },
    },
    Model {
        name: "visitors::in_before_the_push",
        checks: "a waker signs in while it still holds the task",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: || visit(1),
        bug: "it signs in after the push",
        seed: Seed::Caller("in after the push"),
    },
];

struct Place {
    visitors: Visitors,
    /// The memory that the visitors touch.
    memory: UnsafeCell<u32>,
    /// Tasks pushed: when all are there, the tree has ended and the scheduler may.
    pushed: AtomicUsize,
}

fn visit(visitors: usize) {
    let place = Arc::new(Place {
        visitors: Visitors::new(),
        memory: UnsafeCell::new(0),
        pushed: AtomicUsize::new(0),
    });
    let threads: Vec<_> = (0..visitors)
        .map(|_| {
            let place = place.clone();
            thread::spawn(move || {
                let late = bug("in after the push");
                if !late {
                    place.visitors.enter();
                }
                place.pushed.fetch_add(1, Ordering::Release);
                if late {
                    place.visitors.enter();
                }
                place.memory.with(|_| ());
                place.visitors.leave();
            })
        })
        .collect();
    while place.pushed.load(Ordering::Acquire) < visitors {
        thread::yield_now();
    }
    place.visitors.wait_until_none();
    place.memory.with_mut(|_| ());
    for thread in threads {
        thread.join().unwrap();
    }
}
