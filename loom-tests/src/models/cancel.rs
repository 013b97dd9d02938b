//! A cancel against children that park, end, fail and wait (`tree/node.rs`, `tree/parked.rs`).

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};
use treescope::model::{Child, Root, Signal};

use super::{ALL, Model, bug};
use crate::bugs::{NO_MARK, SILENT_END, STATE};
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "cancel::against_park",
        checks: "a child that parks while its scope is cancelled is woken, or sees it",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: against_park,
        bug: "a cancel wakes who is parked, and leaves no mark for who is about to",
        seed: NO_MARK,
    },
    Model {
        name: "cancel::look_then_park",
        checks: "a child's look at the mark is inside the lock that a cancel takes after it has set the mark",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: against_park,
        bug: "a child that was told to end parks all the same",
        seed: Seed::Caller("parks all the same"),
    },
    Model {
        name: "cancel::against_end",
        checks: "a parked child ends by itself while a cancel takes it off the list",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: against_end,
        bug: "a child counts itself out without publishing that it has left the list",
        seed: SILENT_END,
    },
    Model {
        name: "cancel::against_wait",
        checks: "the last child cancels its scope while the parent begins to wait",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: against_wait,
        bug: "setting the mark is a read and a write",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn mark(&self",
            operation: "fetch_or",
            fault: Fault::Split,
        },
    },
    Model {
        name: "cancel::two_failures",
        checks: "two children fail at once: one failure is kept, a parked sibling is woken",
        threads: 4,
        quick: Some(2),
        full: 2,
        body: two_failures,
        bug: "a failure does not mark the scope",
        seed: NO_MARK,
    },
    Model {
        name: "cancel::mark_publishes",
        checks: "whoever sees the mark sees what was done before it was set",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: mark_publishes,
        bug: "whoever sees the mark sees nothing else",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn is(&self",
            operation: "load",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "cancel::orders_publish",
        checks: "the same for a child that looks whether it is to end",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: orders_publish,
        bug: "a child that is to end sees nothing of why",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn orders(&self",
            operation: "load",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
];

/// A child that waits for ever: only a cancel ends it.
fn pending(child: Child) -> JoinHandle<()> {
    thread::spawn(move || {
        let signal = Signal::new();
        let waker = signal.waker();
        if child.park(&waker) || bug("parks all the same") {
            // Its future never becomes ready: it sleeps until the cancel.
            signal.sleep();
            assert!(child.is_scope_cancelled(), "woken for nothing");
            child.unpark();
        }
        child.end();
    })
}

fn drain(root: Root) {
    let waker = root.waker();
    root.drain(&waker);
    root.end();
}

fn against_park() {
    let root = Root::new();
    let child = pending(root.child());
    root.cancel();
    drain(root);
    child.join().unwrap();
}

fn against_end() {
    let root = Root::new();
    let child = root.child();
    let child = thread::spawn(move || {
        let signal = Signal::new();
        let waker = signal.waker();
        let parked = child.park(&waker);
        // What it waited for came, and the cancel may have.
        if parked {
            child.unpark();
        }
        child.end();
    });
    root.cancel();
    drain(root);
    child.join().unwrap();
}

fn against_wait() {
    let root = Root::new();
    let child = root.child();
    let child = thread::spawn(move || {
        child.cancel_scope();
        child.end();
    });
    drain(root);
    child.join().unwrap();
}

fn two_failures() {
    let root = Root::new();
    let parked = pending(root.child());
    let failing = [1, 2].map(|number| {
        let child = root.child();
        thread::spawn(move || {
            child.fail_scope(number);
            child.end();
        })
    });
    let waker = root.waker();
    root.drain(&waker);
    assert!(root.is_cancelled(), "a failure cancels");
    let failure = root.take_failure();
    assert!(matches!(failure, Some(1 | 2)), "{failure:?}");
    root.end();
    for thread in failing {
        thread.join().unwrap();
    }
    parked.join().unwrap();
}

fn mark_publishes() {
    publishes(Child::is_scope_cancelled);
}

fn orders_publish() {
    publishes(Child::is_to_end);
}

fn publishes(is_marked: fn(&Child) -> bool) {
    let root = Root::new();
    let child = root.child();
    let letter = Arc::new(AtomicUsize::new(0));
    let reader = thread::spawn({
        let letter = letter.clone();
        move || {
            if is_marked(&child) {
                assert_eq!(letter.load(Ordering::Relaxed), 1, "the mark came before what it stands for");
            }
            child.end();
        }
    });
    letter.store(1, Ordering::Relaxed);
    root.cancel();
    drain(root);
    reader.join().unwrap();
}
