//! An abort of the whole tree against what its children are doing.

use std::future::pending;

use treescope::model::Borrowed;
use treescope::yield_now;

use super::bugs::NO_MARK;
use super::whole::{LastUse, aborted, runtime};
use super::{Model, all_is_shown, asleep};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "abort::against_park",
        checks: "the root is aborted while its child parks for ever",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: against_park,
        bug: "an abort wakes who is parked, and leaves no mark for who is about to",
        seed: NO_MARK,
    },
    Model {
        name: "abort::against_second_park",
        checks: "the same with a child that is on the list of the parked already, and runs",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: against_second_park,
        bug: "an abort leaves no mark",
        seed: NO_MARK,
    },
    Model {
        name: "abort::against_scope",
        checks: "the root is aborted while a child scope parks, or waits for its own child",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: against_scope,
        bug: "an abort leaves no mark",
        seed: NO_MARK,
    },
    Model {
        name: "abort::against_spawn",
        checks: "a child spawns a sibling that waits for ever while the scope is aborted",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: against_spawn,
        bug: "an abort leaves no mark",
        seed: NO_MARK,
    },
];

fn against_park() {
    let runtime = asleep(|| runtime(1));
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            let capture = LastUse(&borrowed);
            scope.spawn(async move {
                let _capture = capture;
                pending::<()>().await;
            });
            scope.abort();
        });
    });
    drop(borrowed);
    all_is_shown();
}

fn against_second_park() {
    let runtime = asleep(|| runtime(1));
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            let capture = LastUse(&borrowed);
            scope.spawn(async move {
                let _capture = capture;
                yield_now().await;
                pending::<()>().await;
            });
            scope.abort();
        });
    });
    drop(borrowed);
    all_is_shown();
}

fn against_scope() {
    let runtime = asleep(|| runtime(1));
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            let capture = LastUse(&borrowed);
            scope.scope(async move |inner| {
                let value = &*inner.alloc(Borrowed::new());
                let (inner_capture, _capture) = (LastUse(value), capture);
                inner.spawn(async move {
                    let _capture = inner_capture;
                    pending::<()>().await;
                });
            });
            scope.abort();
        });
    });
    drop(borrowed);
    all_is_shown();
}

fn against_spawn() {
    let runtime = asleep(|| runtime(1));
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            let last = LastUse(&borrowed);
            scope.spawn(async move {
                scope.spawn(async move {
                    let _last = last;
                    pending::<()>().await;
                });
            });
            scope.abort();
        });
    });
    drop(borrowed);
    all_is_shown();
}
