//! A node's children against its waiting (`tree/state.rs`, `tree/node.rs`).
//!
//! The node is a root's, its task the model's main thread, and its children are threads that have done their work:
//! they count themselves out. A cell in the model's frame stands for what children borrow. When it is drained, the
//! node is freed, and its words' end counts as an access (`runtime/src/sync/checked.rs`), so that whoever comes
//! after the last touch is found.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use treescope::model::{Child, Root};

use super::{ALL, Model};
use crate::bugs::{SILENT_END, SPLIT_END, SPLIT_START, STATE};
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "node::last_child_against_wait",
        checks: "the only child ends while its parent begins to wait",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: last_child_against_wait,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "node::two_last_children",
        checks: "two children end at once: one of them, and only one, wakes the parent",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: two_last_children,
        bug: "counting out is a read and a write",
        seed: SPLIT_END,
    },
    Model {
        name: "node::waits_again",
        checks: "what a value's drop spawned is waited for after the first wait",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: waits_again,
        bug: "the last child does not end the wait",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn waiter_taken",
            operation: "fetch_and",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "node::spurious_poll",
        checks: "a foreign wake while the last child is between its two steps does not end the node",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: spurious_poll,
        bug: "the last child hands the node back without publishing that it emptied the slot",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn waiter_taken",
            operation: "fetch_and",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "node::child_spawns_sibling",
        checks: "a sibling is counted in before the one that spawned it is counted out",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: child_spawns_sibling,
        bug: "counting in is a read and a write",
        seed: SPLIT_START,
    },
];

/// What children borrow.
type Borrowed = Arc<UnsafeCell<u32>>;

/// A thread that uses what it borrows, and ends `child`.
fn ending(child: Child, borrowed: &Borrowed) -> JoinHandle<()> {
    let borrowed = borrowed.clone();
    thread::spawn(move || {
        borrowed.with(|_| ());
        child.end();
    })
}

/// Drains and frees the node; then nobody borrows any more.
fn drain(root: Root, borrowed: &Borrowed) {
    let waker = root.waker();
    root.drain(&waker);
    borrowed.with_mut(|_| ());
    root.end();
}

fn last_child_against_wait() {
    let root = Root::new();
    let borrowed = Borrowed::default();
    let child = ending(root.child(), &borrowed);
    drain(root, &borrowed);
    child.join().unwrap();
}

fn two_last_children() {
    let root = Root::new();
    let borrowed = Borrowed::default();
    let children = [(); 2].map(|()| ending(root.child(), &borrowed));
    drain(root, &borrowed);
    for thread in children {
        thread.join().unwrap();
    }
}

fn waits_again() {
    let root = Root::new();
    let borrowed = Borrowed::default();
    let first = ending(root.child(), &borrowed);
    let waker = root.waker();
    root.drain(&waker);
    borrowed.with_mut(|_| ());
    let second = ending(root.child(), &borrowed);
    drain(root, &borrowed);
    first.join().unwrap();
    second.join().unwrap();
}

fn spurious_poll() {
    let root = Root::new();
    let borrowed = Borrowed::default();
    let child = ending(root.child(), &borrowed);
    let foreign = thread::spawn({
        let waker = root.waker();
        move || waker.wake()
    });
    drain(root, &borrowed);
    child.join().unwrap();
    foreign.join().unwrap();
}

fn child_spawns_sibling() {
    let root = Root::new();
    let borrowed = Borrowed::default();
    let other = ending(root.child(), &borrowed);
    let child = root.child();
    let spawner = thread::spawn({
        let borrowed = borrowed.clone();
        move || {
            let sibling = child.sibling();
            child.end();
            borrowed.with(|_| ());
            sibling.end();
        }
    });
    drain(root, &borrowed);
    spawner.join().unwrap();
    other.join().unwrap();
}
