//! Timers and deadlines of whole runtimes, whose clock is virtual: it jumps when nothing else can happen, so that an instant that
//! is forgotten is a deadlock.

use std::future::pending;

use treescope::model::Borrowed;
use treescope::{time, yield_now};

use super::whole::{LastUse, TICK, abort_beside, aborted, with_virtual_clock};
use super::{Model, all_is_shown, asleep};
use crate::bugs::{NO_MARK, SILENT_BELL, SILENT_END};
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "clock::sleep_against_abort",
        checks: "a sleeping child is aborted, with a clock that jumps as soon as all are idle",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: sleep_against_abort,
        bug: "a ring does not reach the driver's bell",
        seed: SILENT_BELL,
    },
    Model {
        name: "clock::jumps_when_all_is_quiet",
        checks: "a virtual clock does not jump while a task is still to be run",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: jumps_when_all_is_quiet,
        bug: "a root that falls asleep does not say so",
        seed: Seed::Operation {
            file: "sched/mod.rs",
            anchor: "pub(crate) fn leave(&self) {\n        // Release: pairs with Acquire in `is_none`",
            operation: "fetch_sub",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "clock::deadline_against_completion",
        checks: "a deadline passes while the scope completes: a value or none, and in either case it has ended",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: deadline_against_completion,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "clock::deadline_against_abort",
        checks: "a deadline passes while the scope is aborted from above and drops its timer",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: deadline_against_abort,
        bug: "neither leaves a mark",
        seed: NO_MARK,
    },
];

fn sleep_against_abort() {
    abort_beside(with_virtual_clock, |scope, last| {
        scope.spawn(async move {
            time::sleep(TICK).await;
            drop(last);
        });
    });
}

fn jumps_when_all_is_quiet() {
    let runtime = asleep(with_virtual_clock);
    runtime.block_on(async |scope| {
        let start = time::now();
        scope.spawn(async move {
            time::sleep(TICK).await;
            assert_eq!(time::now(), start + TICK);
        });
        scope.spawn(async move {
            assert_eq!(time::now(), start, "the clock jumped although this could run");
        });
    });
}

fn deadline_against_completion() {
    let runtime = asleep(with_virtual_clock);
    let borrowed = Borrowed::new();
    let ended = runtime.block_on(async |scope| {
        let last = LastUse(&borrowed);
        let handle = scope.deadline(time::now() + TICK, async move |_| {
            let _last = last;
            yield_now().await;
            7
        });
        runtime.advance(TICK);
        handle.await
    });
    assert!(matches!(ended, Ok(7) | Err(_)));
    drop(borrowed);
    all_is_shown();
}

fn deadline_against_abort() {
    let runtime = asleep(with_virtual_clock);
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            let last = LastUse(&borrowed);
            scope.deadline(time::now() + TICK, async move |_| {
                let _last = last;
                pending::<()>().await;
            });
            runtime.advance(TICK);
            scope.abort();
        });
    });
    drop(borrowed);
    all_is_shown();
}
