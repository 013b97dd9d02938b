//! Closing and draining a scope.

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use treescope::model::{Borrowed, Door, Root, Signal};

use super::{ALL, Model, bug};
use crate::bugs::{NO_MARK, SILENT_END, SPLIT_START};
use crate::seed::Seed;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "closing::against_spawn",
        checks: "a foreign thread spawns while the scope is closed and drained: it is refused, or waited for",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: against_spawn,
        bug: "closing leaves no mark",
        seed: NO_MARK,
    },
    Model {
        name: "closing::refused_spawn_against_last_child",
        checks: "a refused spawn is not taken for the last child of the drain that is under way",
        threads: 3,
        quick: Some(5),
        full: ALL,
        body: refused_spawn_against_last_child,
        bug: "counting in is a read and a write",
        seed: SPLIT_START,
    },
    Model {
        name: "closing::drain_given_up",
        checks: "a body gives its drain up; the last child's wake reaches the scope's own wait all the same",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: drain_given_up,
        bug: "the scope's own wait does not take the wake over",
        seed: Seed::Caller("waits where the drain waited"),
    },
    Model {
        name: "closing::two_drains",
        checks: "a body drains its scope twice at a time, each with a waker of its own: the last child wakes both",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: two_drains,
        bug: "two drains leave one waker between them",
        seed: Seed::Caller("one waker for two"),
    },
    Model {
        name: "closing::survivors_against_end",
        checks: "a parked child ends while the walk over the parked names it",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: survivors_against_end,
        bug: "a child counts itself out without publishing what it did",
        seed: SILENT_END,
    },
];

/// A foreign thread that spawns a child, which uses what is borrowed and ends, if there is still a way in.
fn spawner(door: Door, borrowed: &Arc<Borrowed>) -> JoinHandle<()> {
    let borrowed = borrowed.clone();
    thread::spawn(move || {
        if let Some(child) = door.child() {
            borrowed.used();
            child.end();
        }
    })
}

/// The body's drain: closes, and waits until no child lives.
fn close_and_drain(root: &Root) {
    root.close();
    let waker = root.waker();
    while !root.poll_drain(&waker) {
        root.sleep();
    }
}

fn against_spawn() {
    let root = Root::new();
    let borrowed = Arc::new(Borrowed::new());
    let foreign = spawner(root.door(), &borrowed);
    close_and_drain(&root);
    // As a drop would: nobody may come now.
    borrowed.ended();
    // The body waits for the thread before it ends.
    foreign.join().unwrap();
    root.end();
}

fn refused_spawn_against_last_child() {
    let root = Root::new();
    let borrowed = Arc::new(Borrowed::new());
    let (child, used) = (root.child(), borrowed.clone());
    let last = thread::spawn(move || {
        used.used();
        child.end();
    });
    let foreign = spawner(root.door(), &borrowed);
    close_and_drain(&root);
    borrowed.ended();
    last.join().unwrap();
    foreign.join().unwrap();
    root.end();
}

fn drain_given_up() {
    let root = Root::new();
    let child = root.child();
    let child = thread::spawn(move || child.end());
    root.close();
    // Who drained, a timeout say, and has given up.
    let gone = Signal::new();
    let _ = root.poll_drain(&gone.waker());
    let waker = if bug("waits where the drain waited") { gone.waker() } else { root.waker() };
    root.drain(&waker);
    root.end();
    child.join().unwrap();
}

fn two_drains() {
    let root = Root::new();
    let child = root.child();
    let child = thread::spawn(move || child.end());
    root.close();
    let (one, other) = (Signal::new(), Signal::new());
    let wakers = [one.waker(), if bug("one waker for two") { one.waker() } else { other.waker() }];
    let drained = wakers.map(|waker| root.poll_drain(&waker));
    for (signal, drained) in [one, other].iter().zip(drained) {
        if !drained {
            signal.sleep();
        }
    }
    root.drain(&root.waker());
    root.end();
    child.join().unwrap();
}

fn survivors_against_end() {
    let root = Root::new();
    let borrowed = Arc::new(Borrowed::new());
    let child = root.child();
    let nobody = Signal::new().waker();
    assert!(child.park(&nobody), "nobody cancels");
    let ending = thread::spawn({
        let borrowed = borrowed.clone();
        move || {
            borrowed.used();
            child.unpark();
            child.end();
        }
    });
    assert!(root.survivors() <= 1);
    close_and_drain(&root);
    borrowed.ended();
    assert_eq!(root.survivors(), 0);
    root.end();
    ending.join().unwrap();
}
