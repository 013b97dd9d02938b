//! An abort of the whole tree against what its children are doing.

use std::future::pending;

use treescope::model::Borrowed;
use treescope::yield_now;

use super::Model;
use super::whole::{LastUse, abort_beside, runtime};
use crate::bugs::NO_MARK;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "abort::against_park",
        checks: "the root is aborted while its child parks for ever",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: against_park,
        bug: "an abort wakes who is parked, and leaves no mark for who is about to",
        seed: NO_MARK,
    },
    Model {
        name: "abort::against_second_park",
        checks: "the same with a child that is on the list of the parked already, and runs",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: against_second_park,
        bug: "an abort leaves no mark",
        seed: NO_MARK,
    },
    Model {
        name: "abort::against_scope",
        checks: "the root is aborted while a child scope parks, or waits for its own child",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: against_scope,
        bug: "an abort leaves no mark",
        seed: NO_MARK,
    },
    Model {
        name: "abort::against_spawn",
        checks: "a child spawns a sibling that waits for ever while the scope is aborted",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: against_spawn,
        bug: "an abort leaves no mark",
        seed: NO_MARK,
    },
];

fn against_park() {
    abort_beside(
        || runtime(1),
        |scope, last| {
            scope.spawn(async move {
                let _last = last;
                pending::<()>().await;
            });
        },
    );
}

fn against_second_park() {
    abort_beside(
        || runtime(1),
        |scope, last| {
            scope.spawn(async move {
                let _last = last;
                yield_now().await;
                pending::<()>().await;
            });
        },
    );
}

fn against_scope() {
    abort_beside(
        || runtime(1),
        |scope, outer| {
            scope.scope(async move |inner| {
                let value = &*inner.alloc(Borrowed::new());
                let (last, _outer) = (LastUse(value), outer);
                inner.spawn(async move {
                    let _last = last;
                    pending::<()>().await;
                });
            });
        },
    );
}

fn against_spawn() {
    abort_beside(
        || runtime(1),
        |scope, last| {
            scope.spawn(async move {
                scope.spawn(async move {
                    let _last = last;
                    pending::<()>().await;
                });
            });
        },
    );
}
