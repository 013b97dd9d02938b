//! Requests to end, and the time that is given for it: grace periods and shields.

use std::future::pending;
use std::time::Duration;

use loom::thread;
use treescope::model::Borrowed;

use super::whole::{LastUse, Shown, TICK, aborted, with_virtual_clock};
use super::{Model, all_is_shown, asleep, explored_from_here, not_yet_explored};
use crate::bugs::{NO_MARK, NOT_TIMED};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "request::against_watch",
        checks: "a request comes while a child begins to wait for one",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: against_watch,
        bug: "a request leaves no mark",
        seed: NO_MARK,
    },
    Model {
        name: "request::grace_against_park",
        checks: "a grace period begins while a child parks for ever, and ends",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: grace_against_park,
        bug: "nobody keeps the end of the grace period",
        seed: NOT_TIMED,
    },
    Model {
        name: "request::grace_against_scope_park",
        checks: "a scope's child, on a thread of its own, begins a grace period while the scope's task parks",
        threads: 3,
        quick: Some(2),
        full: 2,
        body: grace_against_scope_park,
        bug: "nobody keeps the end of the grace period",
        seed: NOT_TIMED,
    },
    Model {
        name: "request::abort_against_shield",
        checks: "an abort from above while a shielded scope parks: its shield's time begins, and ends it",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: abort_against_shield,
        bug: "nobody keeps the end of the shield",
        seed: NOT_TIMED,
    },
];

fn against_watch() {
    let runtime = asleep(with_virtual_clock);
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let last = LastUse(&borrowed);
        scope.spawn(async move {
            scope.cancelled().await;
            drop(last);
        });
        scope.cancel(Duration::MAX);
    });
    drop(borrowed);
    all_is_shown();
}

fn grace_against_park() {
    let runtime = asleep(with_virtual_clock);
    let borrowed = Borrowed::new();
    not_yet_explored();
    aborted(|| {
        runtime.block_on(async |scope| {
            let last = LastUse(&borrowed);
            scope.spawn(async move {
                explored_from_here();
                let _shown = Shown;
                let _last = last;
                pending::<()>().await;
            });
            thread::yield_now();
            scope.cancel(TICK);
        });
    });
    drop(borrowed);
}

fn grace_against_scope_park() {
    let runtime = asleep(with_virtual_clock);
    let borrowed = Borrowed::new();
    not_yet_explored();
    runtime.block_on(async |scope| {
        let last = LastUse(&borrowed);
        scope.scope(async move |inner| {
            let _shown = Shown;
            let _last = last;
            inner.spawn_blocking(move || {
                explored_from_here();
                inner.cancel(TICK);
            });
            thread::yield_now();
            pending::<()>().await;
        });
    });
    drop(borrowed);
}

fn abort_against_shield() {
    let runtime = asleep(with_virtual_clock);
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            let last = LastUse(&borrowed);
            scope.open().shield(TICK).scope(async move |_| {
                let _shown = Shown;
                let _last = last;
                pending::<()>().await;
            });
            scope.abort();
        });
    });
    drop(borrowed);
}
