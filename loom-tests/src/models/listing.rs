//! Scopes that wait for scopes below and are on no list (`runtime/src/tree/listing.rs`): a cancel reaches them, and their ends find
//! themselves on the lists that somebody below has put them on.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::sync::Mutex as StdMutex;
use std::task::Poll;

use loom::thread;
use treescope::model::{Root, Yard};

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
                poll_fn(|cx| Poll::Ready(Pin::new(&mut below).poll(cx).is_ready())).await;
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
        assert!(root.is_marked(), "a mark is counted before it is there");
    }
    let waker = root.waker();
    root.drain(&waker);
    root.end();
    canceller.join().unwrap();
}

fn put_on_a_list_by_another() {
    let yard = Yard::new();
    let way = yard.way();
    let started = StdArc::new(StdMutex::new(None));
    let start = started.clone();
    let handle = way.scope().scope(async move |one| {
        let below = one.scope(async move |_| {
            let mut woken = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut woken, true) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        });
        let run = way.next().expect("the scope was spawned");
        let runner = thread::spawn(move || {
            run.run();
            while let Some(run) = way.next() {
                run.run();
            }
        });
        *start.lock().expect("nobody panics") = Some(runner);
        below.await;
    });
    way.next().expect("the scope was spawned").run();
    while let Some(run) = way.next() {
        run.run();
    }
    let runner = started.lock().expect("nobody panics").take().expect("it has been polled");
    runner.join().expect("no thread panics");
    while let Some(run) = way.next() {
        run.run();
    }
    assert!(handle.is_finished());
}
