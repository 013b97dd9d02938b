//! Scopes that wait for scopes below and are on no list (`runtime/src/tree/listing.rs`): a cancel reaches them, and their ends find
//! themselves on the lists that somebody below has put them on.

use std::future::pending;
use std::task::Waker;

use loom::thread;
use treescope::model::{Root, Way, Yard};

use super::cell::{Started, first, once_pending};
use super::scope_handle::poll_once;
use super::whole::{abort_beside, runtime};
use super::{ALL, Model};
use crate::bugs::{ABOVE_FORGOTTEN, LISTING, NO_MARK};
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "listing::abort_against_path",
        checks: "the root is aborted while a scope that waits for one below is put on a list, because that one parks",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: abort_against_path,
        bug: "an abort leaves no mark",
        seed: NO_MARK,
    },
    Model {
        name: "listing::abort_against_end_below",
        checks: "the root is aborted while a scope, having asked one below and dropped the handle, waits for something else",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: abort_against_end_below,
        bug: "the scope below does not remember that the one above has asked",
        seed: ABOVE_FORGOTTEN,
    },
    Model {
        name: "listing::heard_is_seen",
        checks: "whoever finds a mark counted sees the mark",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: heard_is_seen,
        bug: "the count does not publish the mark",
        seed: Seed::Operation {
            file: LISTING,
            anchor: "fn one_more(&self)",
            operation: "fetch_add",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "listing::put_on_a_list_by_another",
        checks: "a scope is put on its list by one below, on another thread, while it parks, and takes itself off it when it ends",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: put_on_a_list_by_another,
        bug: "nobody notes that the scope is on a list",
        seed: Seed::Operation {
            file: LISTING,
            anchor: "pub(super) fn note(&self)",
            operation: "store",
            fault: Fault::Remove,
        },
    },
];

fn abort_against_path() {
    abort_beside(
        || runtime(1),
        |scope, last| {
            scope.scope(async move |one| {
                let _last = last;
                one.scope(async move |_| pending::<()>().await).await;
            });
        },
    );
}

fn abort_against_end_below() {
    abort_beside(
        || runtime(1),
        |scope, last| {
            scope.scope(async move |one| {
                let _last = last;
                let mut below = one.scope(async move |_| ());
                poll_once(&mut below).await;
                drop(below);
                pending::<()>().await;
            });
        },
    );
}

fn heard_is_seen() {
    let root = Root::new();
    let child = root.child();
    let canceller = thread::spawn(move || {
        child.cancel_scope();
        child.end();
    });
    if root.marks() != 0 {
        assert!(root.is_cancelled(), "a mark is counted before it is there");
    }
    let waker = root.waker();
    root.drain(&waker);
    root.end();
    canceller.join().unwrap();
}

/// Runs what is queued until nothing is: the scopes of a path may be at the same time.
fn run_all(way: Way) {
    while let Some(run) = way.next() {
        run.run();
    }
}

fn put_on_a_list_by_another() {
    let yard = Yard::new();
    let (way, started) = (yard.way(), Started::default());
    let start = started.clone();
    let handle = way.scope().scope(async move |one| {
        let below = one.scope(async move |_| once_pending(Waker::wake_by_ref).await);
        let run = way.next().expect("the scope was spawned");
        start.start(move || {
            run.run();
            run_all(way);
        });
        below.await;
    });
    first(way);
    run_all(way);
    started.wait();
    run_all(way);
    assert!(handle.is_finished());
}
